# seqdropout and nnU-Net's commands in one image, from the wheel that make release leaves in dist/:
#   make release && docker build -t seqdropout .
#   docker run --rm --gpus all --ipc=host -v "$PWD:/work" seqdropout seqdropout --version
FROM python:3.11-slim

COPY dist/*.whl /tmp/wheel/
RUN pip install --no-cache-dir "$(echo /tmp/wheel/*.whl)[dicom,phantom]" && rm -r /tmp/wheel

# without a C compiler in the image torch.compile, nnU-Net's default on a GPU, would fail
ENV nnUNet_compile=false \
    nnUNet_extTrainer=/usr/local/lib/python3.11/site-packages/trainers \
    nnUNet_raw=/work/nnUNet_raw \
    nnUNet_preprocessed=/work/nnUNet_preprocessed \
    nnUNet_results=/work/nnUNet_results

RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /work
CMD ["seqdropout", "--help"]
