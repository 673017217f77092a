"""Public data sets: raw source to canonical rows and a problem file."""

from pipelines.datasets.census_income import CENSUS_INCOME
from pipelines.datasets.dataset import Dataset
from pipelines.datasets.movielens_100k import MOVIELENS_100K

DATASETS = {dataset.name: dataset for dataset in (MOVIELENS_100K, CENSUS_INCOME)}

__all__ = ["DATASETS", "Dataset"]
