"""The parts of the Claude stand-in; :class:`secretkit.testing.ClaudeStub` is its public face.

``python -m secretkit.testing.stub --port 0`` runs it as a process of its own.
"""
