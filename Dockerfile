# One image for every service; what runs in a container is its command:
#    docker build -t everywear .
#    docker run -p 127.0.0.1:8000:8000 -v everywear-weights:/weights everywear      the whole fleet
#    docker run -v everywear-weights:/weights everywear uvicorn masking:app --host 0.0.0.0 --port 8001
# With the extra that the published networks need (torch with CUDA, about 6 GB):
#    docker build -t everywear:models --build-arg EXTRAS=models .
FROM python:3.12-slim

# Extras of pyproject.toml, separated by commas
ARG EXTRAS=""

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /app

# The dependencies make a layer of their own, which edits of the code leave alone
COPY pyproject.toml backend_requirements.txt ./
RUN <<'END'
set -eu
python - > /tmp/wanted.txt <<'PYTHON'
import os, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = [extra for extra in os.environ["EXTRAS"].split(",") if extra]
print(*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra]), sep="\n")
PYTHON
pip install --constraint backend_requirements.txt --requirement /tmp/wanted.txt
rm /tmp/wanted.txt
END

COPY README.md LICENSE *.py ./
COPY infra infra
COPY routers routers
RUN pip install --no-deps --editable . && python -m compileall -q .

# An empty named volume takes over the folder's owner
RUN useradd --uid 10001 --no-create-home everywear && install -d -o everywear /weights
USER 10001
VOLUME /weights

# The root file system may be read-only: what needs a home has /tmp
ENV HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    EVERYWEAR_HOST=0.0.0.0 \
    EVERYWEAR_WEIGHTS=/weights \
    PORT=8000
EXPOSE 8000

# PORT is that of the container's own service
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]

CMD ["sh", "-c", "everywear weights fetch && exec everywear up"]
