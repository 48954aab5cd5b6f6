//! Learned rankings: training them, keeping their feature codes current, and serving them.

mod catalogue;
mod codes;
mod kind;
mod low_priority;
mod serving;
mod training;
mod upkeep;

pub use codes::{refresh_codes, roll_back};
pub use kind::RankingKind;
pub use serving::{LearnedColumns, LearnedRankings, LearnedRows, LearnedScore, ModelState, RankedBy, ServedModel};
pub use training::{TrainingProgress, train, train_all};
pub use upkeep::{keep_current, request_upkeep};
