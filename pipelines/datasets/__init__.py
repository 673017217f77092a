"""Public data sets: raw source to canonical rows and a problem file."""

from tfmtl.pipelines.datasets.ali_ccp import ALI_CCP
from tfmtl.pipelines.datasets.aliexpress import ALIEXPRESS
from tfmtl.pipelines.datasets.census_income import CENSUS_INCOME
from tfmtl.pipelines.datasets.chart_runs import CHART_RUNS
from tfmtl.pipelines.datasets.complete_journey import COMPLETE_JOURNEY
from tfmtl.pipelines.datasets.complete_journey_lines import COMPLETE_JOURNEY_LINES
from tfmtl.pipelines.datasets.creatives import ADS
from tfmtl.pipelines.datasets.dataset import Dataset
from tfmtl.pipelines.datasets.icon_lifetimes import ICON_LIFETIMES
from tfmtl.pipelines.datasets.ira_ads import IRA_ADS
from tfmtl.pipelines.datasets.kuairand import KUAIRAND
from tfmtl.pipelines.datasets.kuairand_explicit import KUAIRAND_EXPLICIT
from tfmtl.pipelines.datasets.listing_lifetimes import LISTING_LIFETIMES
from tfmtl.pipelines.datasets.movielens_100k import MOVIELENS_100K
from tfmtl.pipelines.datasets.news_impressions import NEWS_IMPRESSIONS
from tfmtl.pipelines.datasets.planted import PLANTED
from tfmtl.pipelines.datasets.retailrocket import RETAILROCKET
from tfmtl.pipelines.datasets.retailrocket_mb import RETAILROCKET_MB
from tfmtl.pipelines.datasets.streamed_dataset import StreamedDataset
from tfmtl.pipelines.datasets.taobao import TAOBAO
from tfmtl.pipelines.datasets.taobao_mb import TAOBAO_MB
from tfmtl.pipelines.datasets.tutor_algebra import TUTOR_ALGEBRA
from tfmtl.pipelines.datasets.upworthy_headlines import UPWORTHY_HEADLINES

_ALL: tuple[Dataset | StreamedDataset, ...] = (
    MOVIELENS_100K,
    CENSUS_INCOME,
    KUAIRAND,
    KUAIRAND_EXPLICIT,
    RETAILROCKET,
    RETAILROCKET_MB,
    TAOBAO,
    TAOBAO_MB,
    NEWS_IMPRESSIONS,
    COMPLETE_JOURNEY,
    COMPLETE_JOURNEY_LINES,
    TUTOR_ALGEBRA,
    LISTING_LIFETIMES,
    UPWORTHY_HEADLINES,
    IRA_ADS,
    CHART_RUNS,
    ALI_CCP,
    ALIEXPRESS,
    PLANTED,
    ADS,
    ICON_LIFETIMES,
)
DATASETS = {dataset.name: dataset for dataset in _ALL}

__all__ = ["DATASETS", "Dataset", "StreamedDataset"]
