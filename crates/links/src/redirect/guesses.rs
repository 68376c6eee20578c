//! How often a link's password may be guessed: ten wrong ones a minute, then nobody is listened to until the minute is over.

use foundation::Uuid;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WRONG: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Then the old ones are thrown out.
const MANY: usize = 10_000;

#[derive(Default)]
pub struct Guesses(Mutex<HashMap<Uuid, (Instant, u32)>>);

impl Guesses {
    pub fn may(&self, link: Uuid) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&link)
            .is_none_or(|(since, wrong)| *wrong < WRONG || since.elapsed() > WINDOW)
    }

    pub fn wrong(&self, link: Uuid) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MANY {
            known.retain(|_, (since, _)| since.elapsed() <= WINDOW);
        }
        let (since, wrong) = known.entry(link).or_insert((Instant::now(), 0));
        if since.elapsed() > WINDOW {
            (*since, *wrong) = (Instant::now(), 0);
        }
        *wrong += 1;
    }
}
