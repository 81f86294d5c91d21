"""What is in a corpus, and what is wrong with it: figures, a table for the terminal, a page."""

from nlpbook_data.audit.figures import Audit
from nlpbook_data.audit.report import format_audit, write_audit
from nlpbook_data.audit.scan import audit_corpus

__all__ = ["Audit", "audit_corpus", "format_audit", "write_audit"]
