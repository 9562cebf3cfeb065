//! What is asked: stories, each with topics and groups of its own.

use super::play::Play;

mod batches;
mod cluster;
mod configs;
mod group_admin;
mod groups;
mod members;
mod offsets;
mod producers;
mod reading;
mod records;
mod requests;
mod topics;

/// A story has a name and is told to a broker.
pub type Story = (&'static str, fn(&mut Play));

/// The stories that are compared.
pub const STORIES: &[Story] = &[
    ("versions", cluster::versions),
    ("no requests", cluster::no_requests),
    ("cluster", cluster::cluster),
    ("lists of groups", group_admin::lists),
    ("coordinators", group_admin::coordinators),
    ("create topics", topics::create_topics),
    ("topic names", topics::names),
    ("delete topics", topics::delete_topics),
    ("grow topics", topics::grow_topics),
    ("metadata", topics::metadata_of_topics),
    ("produce", records::good),
    ("refused records", records::refused),
    ("compressions", records::compressions),
    ("producer ids", producers::ids),
    ("sequences", producers::sequences),
    ("fetch", reading::fetches),
    ("fetch checks", reading::fetch_checks),
    ("a fetch that waits", reading::a_fetch_that_waits),
    ("deleted records", reading::deleted_records),
    ("list offsets", reading::list_offsets),
    ("epochs", reading::epochs),
    ("partitions", cluster::partitions),
    ("alone", groups::alone),
    ("member ids", groups::member_ids),
    ("refused joins", groups::refused_joins),
    ("states", groups::states),
    ("protocols", groups::protocols),
    ("static members", groups::static_members),
    ("refused members", groups::refused),
    ("commits", offsets::committed),
    ("committed offsets", offsets::fetched),
    ("deleted offsets", offsets::deleted),
];

/// The stories about configurations.
pub const CONFIGS: &[Story] = &[
    ("created", configs::created),
    ("described", configs::described),
    ("replaced", configs::replaced),
    ("changed", configs::changed),
];
