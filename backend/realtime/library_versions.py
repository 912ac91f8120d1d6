"""The supported versions of the libraries whose internals `realtime/` uses; other versions may differ there.

`requirements.in` names the same ranges, and a test compares the two. Before a range is widened, the tests of
tests/api have to pass with the newer version.
"""

import contextlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from errors import SetupError

SUPPORTED = {
    "flask-socketio": ">=5.7,<5.8",
    "python-engineio": ">=4.13.2,<4.16",
    "python-socketio": ">=5.16.2,<5.19",
    "websockets": ">=17.4,<18",
}


def require_supported(supported: Mapping[str, str] = SUPPORTED) -> None:
    """Raise `SetupError` for an installed library outside its range."""
    for package, versions in supported.items():
        with contextlib.suppress(PackageNotFoundError):
            found = version(package)
            if not SpecifierSet(versions).contains(found, prereleases=True):
                raise SetupError(
                    f"✗ {package} {found} 버전으로는 서버를 시작할 수 없습니다. "
                    f"지원하는 버전은 {versions}입니다.\n"
                    "  → 프로젝트 폴더에서 다음을 실행하세요: pip install -r requirements.txt"
                )
