"""Names of blobs as no camera writes them, and as somebody will one day. Shared by make-vectors and blob-conformance/names.py.

Each is one that Azure Blob Storage takes: 1 to 1024 characters, no control characters. Whether an archive volume takes it as well
is said by `on_volume`.
"""

ODD_NAMES = [
    "plain.mp4", "cam 1/seg 001.mp4", "two  spaces.mp4", " leading space.mp4", "trailing space ", "space / around slash.mp4",
    "plus+plus.mp4", "+", "a+b c%20d.mp4", "percent%.mp4", "%", "%%", "%2F", "a%2Fb.mp4", "a%2fb.mp4", "%25", "100%25.mp4", "%00",
    "%e4.mp4", "%zz", "dots...mp4", "dir./file.", "trailing.dot.", "trailing.dots...", "a/...", "a/..b", "a/b..", "a/..b/c",
    "..leading", "a/.hidden", "a.b/c.d/e.f", "question?.mp4", "?", "a?b=c&d=e", "hash#.mp4", "#", "amp&ersand.mp4", "equals=.mp4",
    "a=b&c=d", "semi;colon.mp4", "comma,comma.mp4", "colon:12:00:00Z.mp4", "2026-11-23T05:00:00Z_cam.mp4", "at@sign.mp4",
    "dollar$.mp4", "excl!.mp4", "star*.mp4", "paren(1).mp4", "bracket[1].mp4", "brace{1}.mp4", "less<greater>.mp4", "pipe|.mp4",
    "back\\slash.mp4", "back\\..\\slash", "caret^.mp4", "tick`.mp4", "tilde~.mp4", "single'quote.mp4", 'double"quote.mp4', "'", '"',
    "under_score-and-hyphen.mp4", "-", "_", "~", "Tor Süd.mp4", "tor-su\u0308d-combining.mp4", "e\u0301/e\u0301.mp4", "\u0301first.mp4",
    "日本語/カメラ.mp4", "камера.mp4", "الكاميرا.mp4", "emoji-\U0001f4f7.mp4", "family-\U0001f468\u200d\U0001f469\u200d\U0001f467.mp4",
    "flag-\U0001f1e9\U0001f1ea", "zero\u200bwidth.mp4", "no\u00a0break.mp4", "rtl-\u202egpj.mp4", "\u2028line.mp4", "\ufeffbom.mp4",
    "ß-ſ-K.mp4", "İ.mp4", "a/b/c/d/e/f/g/h/i/j.mp4", "UPPER/lower.MP4", "x" * 200 + ".mp4", "ü" * 120, "sig=abc&sv=1", "comp=list",
]


def on_volume(name):
    """Whether an archive volume takes it: RelativePath.swift has the rules."""
    raw = name.encode()
    parts = raw.split(b"/")
    return (0 < len(raw) <= 1024 and not raw.startswith((b"/", b".")) and not any(b < 0x20 or b == 0x7f for b in raw)
            and all(0 < len(part) <= 255 and part not in (b".", b"..") for part in parts))
