"""The recognizer as a service: OpenAI's audio API, a live WebSocket, and a page to talk to."""
