"""The frozen records that cross packages, one file for each part of the job.

Every step of the main job takes records and returns a record; each record has one producer. Arrays carry shape
suffixes: N images, K classes, D features, H height, W width, C channels. Nothing here imports torch.
"""

from svertka.schema.bundle import Bundle as Bundle
from svertka.schema.bundle import Novelty as Novelty
from svertka.schema.bundle import Parity as Parity
from svertka.schema.bundle import Source as Source
from svertka.schema.evaluation import Abstention as Abstention
from svertka.schema.evaluation import ClassScores as ClassScores
from svertka.schema.evaluation import Conformal as Conformal
from svertka.schema.evaluation import Curve as Curve
from svertka.schema.evaluation import Estimate as Estimate
from svertka.schema.evaluation import Evaluation as Evaluation
from svertka.schema.evaluation import LabelDoubt as LabelDoubt
from svertka.schema.evaluation import OrderCheck as OrderCheck
from svertka.schema.evaluation import Predictions as Predictions
from svertka.schema.evaluation import ReliabilityBin as ReliabilityBin
from svertka.schema.events import Advanced as Advanced
from svertka.schema.events import EpochEnded as EpochEnded
from svertka.schema.events import Event as Event
from svertka.schema.events import EventSink as EventSink
from svertka.schema.events import RunStarted as RunStarted
from svertka.schema.events import StepEnded as StepEnded
from svertka.schema.events import StepStarted as StepStarted
from svertka.schema.events import TrainingPlanned as TrainingPlanned
from svertka.schema.events import ignore_events as ignore_events
from svertka.schema.explanation import AttributionMap as AttributionMap
from svertka.schema.explanation import ClassPair as ClassPair
from svertka.schema.explanation import Explanation as Explanation
from svertka.schema.explanation import FeatureLevel as FeatureLevel
from svertka.schema.explanation import FeatureMap as FeatureMap
from svertka.schema.explanation import Insight as Insight
from svertka.schema.explanation import MethodName as MethodName
from svertka.schema.explanation import Patch as Patch
from svertka.schema.explanation import SanityCheck as SanityCheck
from svertka.schema.explanation import ShortcutProbe as ShortcutProbe
from svertka.schema.explanation import ShortcutVerdict as ShortcutVerdict
from svertka.schema.explanation import StagePatches as StagePatches
from svertka.schema.images import SPLIT_NAMES as SPLIT_NAMES
from svertka.schema.images import Catalog as Catalog
from svertka.schema.images import DeepMode as DeepMode
from svertka.schema.images import ImageRecord as ImageRecord
from svertka.schema.images import Leak as Leak
from svertka.schema.images import Notice as Notice
from svertka.schema.images import Preprocess as Preprocess
from svertka.schema.images import Rejection as Rejection
from svertka.schema.images import Split as Split
from svertka.schema.images import SplitName as SplitName
from svertka.schema.images import ValueRange as ValueRange
from svertka.schema.images import ValueSpan as ValueSpan
from svertka.schema.run import RunRecord as RunRecord
from svertka.schema.run import StepCost as StepCost
from svertka.schema.training import Advice as Advice
from svertka.schema.training import Comparison as Comparison
from svertka.schema.training import Decision as Decision
from svertka.schema.training import EpochRow as EpochRow
from svertka.schema.training import FeatureScore as FeatureScore
from svertka.schema.training import LeaderboardRow as LeaderboardRow
from svertka.schema.training import PhaseRow as PhaseRow
from svertka.schema.training import Similarity as Similarity
from svertka.schema.training import Size as Size
from svertka.schema.training import Verdict as Verdict
from svertka.schema.training import Versus as Versus
