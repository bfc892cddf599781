# anyecg with everything but the hub's weights and the data:
#   docker build -t anyecg .
#   docker run --rm -v "$PWD/runs:/work/runs" anyecg run experiments/anyecg_chat.yaml
#   docker run --rm --gpus all --ipc host -v /data:/data -v "$PWD/runs:/work/runs" anyecg run experiments/anyecg_chat.yaml scale=gpu \
#       corpora.mimic.root=/data/mimic-iv-ecg
# torch from PyPI brings CUDA along (some 6 GB); the machine needs a driver and the NVIDIA container toolkit, and nothing else.
FROM python:3.11-slim

# libsndfile: FLAC in WFDB; a compiler: DeepSpeed builds its CPU optimizer when it is first used
RUN apt-get update && apt-get install -y --no-install-recommends build-essential libsndfile1 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir uv

WORKDIR /opt/anyecg
# the libraries first, so that a change of the code does not fetch them again
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir anyecg && touch anyecg/__init__.py \
    && uv pip install --system --no-cache --constraint constraints.txt '.[all,smollm2,deepspeed]' && uv pip uninstall --system anyecg
COPY . .
RUN uv pip install --system --no-cache --no-deps .

# not root, and a folder of one's own for runs/
RUN useradd --create-home anyecg && mkdir /work && chown anyecg /work
USER anyecg
WORKDIR /work
ENTRYPOINT ["anyecg"]
CMD ["--help"]
