"""What every page of ours says about itself to the browser: nothing from elsewhere, no script in the page itself."""

from pathlib import Path

HERE = Path(__file__).parent
"""Where `templates` and `static` lie."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of all pages."""

SAFE = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
"""With `no-referrer` a browser says `Origin: null` for a form (https://fetch.spec.whatwg.org/#append-a-request-origin-header),
and the guard would refuse our own."""
