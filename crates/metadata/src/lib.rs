//! Hasura's metadata, version 3: the document as types, and the commands that change it. Pure: whether a change fits the
//! database is the engine's judgement, where it is kept is the API's.

mod action;
pub mod commands;
pub mod directory;
mod document;
mod limits;
mod native;
mod object;
mod permission;
mod remote;
pub mod rename;
mod table;
mod trigger;

pub use action::{
    Action, ActionArgument, ActionDefinition, ActionPermission, CustomEnum, CustomEnumValue, CustomField, CustomScalar,
    CustomTypes, InputObject, OutputObject, OutputRelationship,
};
pub use document::{
    Affixes, AllowScope, AllowedCollection, CollectionDefinition, Customization, FunctionConfiguration, FunctionEntry,
    FunctionPermission, InheritedRole, ListedQuery, Metadata, QueryCollection, RestDefinition, RestEndpoint, RestQuery,
    RootFields, SchemaIntrospection, Source,
};
pub use limits::{ApiLimits, Limit, Rate, UniqueParams};
pub use native::{LogicalField, LogicalModel, NativeQuery};
pub use object::{ObjectId, PermissionKind, SourceObject};
pub use permission::{
    Columns, DeletePermission, InputValidation, InsertPermission, Permission, SelectPermission, UpdatePermission,
    ValidationWebhook,
};
pub use remote::{RemoteCustomization, RemoteDefinition, RemoteFieldNames, RemoteNames, RemoteSchema};
pub use table::{
    ComputedField, ComputedFieldDefinition, ForeignKeyOn, Relationship, TableConfiguration, TableEntry, TableName,
    Using,
};
pub use trigger::{CronTrigger, EventTrigger, Header, Operations, RetryConf, ScheduleRetryConf, Watched};
