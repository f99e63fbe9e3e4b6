"""How models are trained, compared and judged; the verbs in `api` are made of this."""
