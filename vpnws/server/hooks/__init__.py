"""The process for hooks: runs the operator's commands and webhook, and looks at the host."""
