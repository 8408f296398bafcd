//! The crate `apache-avro` with a schema of events. What it is to write is taken from an event's JSON, by the schema.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::UuidSchema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use isitup_shared::config::Format;
use isitup_shared::event::Event;
use isitup_shared::time::UtcTime;
use serde_json::Value;

use crate::events::sealed;

/// Writes and reads events in one schema.
pub(crate) struct Reference {
    schema: Schema,
    named: HashMap<String, Schema>,
}

impl Reference {
    pub(crate) fn of(schema: Schema) -> Self {
        let mut named = HashMap::new();
        collect(&schema, &mut named);
        Self { schema, named }
    }

    /// What the schema can say of `event`.
    pub(crate) fn value(&self, event: &Event) -> Avro {
        let told: Value = serde_json::from_slice(&sealed(event, Format::Json)).unwrap();
        self.value_of(&self.schema, &told, "")
    }

    pub(crate) fn write(&self, value: &Avro) -> Vec<u8> {
        GenericDatumWriter::builder(&self.schema).build().unwrap().write_value_to_vec(value.clone()).unwrap()
    }

    pub(crate) fn read(&self, mut datum: &[u8]) -> Avro {
        let value = GenericDatumReader::builder(&self.schema).build().unwrap().read_value(&mut datum).unwrap();
        assert_eq!(datum, b"", "it reads all of it");
        value
    }

    /// What `reader` makes of a datum in this schema: Avro's own rules of resolution.
    pub(crate) fn read_as(&self, reader: &Schema, mut datum: &[u8]) -> Avro {
        let resolving = GenericDatumReader::builder(&self.schema).reader_schema(reader).build().unwrap();
        resolving.read_value(&mut datum).unwrap()
    }

    /// `told` by `schema`. Of a union of records the one is taken that the envelope's type names.
    fn value_of(&self, schema: &Schema, told: &Value, type_name: &str) -> Avro {
        match schema {
            Schema::Ref { name } => self.value_of(&self.named[&name.to_string()], told, type_name),
            Schema::Record(record) => {
                let type_name = told["type"].as_str().unwrap_or_default();
                let is_envelope = record.name.name() == "Event";
                let field = |name: &str| if is_envelope && name == "body" { told } else { &told[name] };
                let fields =
                    record.fields.iter().map(|f| (f.name.clone(), self.value_of(&f.schema, field(&f.name), type_name)));
                Avro::Record(fields.collect())
            }
            Schema::Union(union) => {
                let branches = ["check", "gap", "producer", "clock_step"];
                let index = match union.variants() {
                    [Schema::Null, _] => usize::from(!told.is_null()),
                    _ => branches.iter().position(|name| *name == type_name).unwrap(),
                };
                let value = self.value_of(&union.variants()[index], told, type_name);
                Avro::Union(u32::try_from(index).unwrap(), Box::new(value))
            }
            Schema::Enum(symbols) => {
                let word = told.as_str().unwrap();
                let index = symbols.symbols.iter().position(|symbol| symbol == word).unwrap();
                Avro::Enum(u32::try_from(index).unwrap(), word.to_owned())
            }
            Schema::Array(array) => {
                let items = told.as_array().into_iter().flatten();
                Avro::Array(items.map(|item| self.value_of(&array.items, item, type_name)).collect())
            }
            Schema::Null => Avro::Null,
            Schema::Boolean => Avro::Boolean(told.as_bool().unwrap_or(false)),
            Schema::Int => Avro::Int(told.as_i64().unwrap().try_into().unwrap()),
            Schema::Long => Avro::Long(told.as_i64().unwrap()),
            Schema::String => Avro::String(told.as_str().unwrap().to_owned()),
            Schema::TimestampMicros => {
                Avro::TimestampMicros(told.as_str().unwrap().parse::<UtcTime>().unwrap().as_micros())
            }
            Schema::Uuid(UuidSchema::Fixed(_)) => Avro::Uuid(told.as_str().unwrap().parse().unwrap()),
            other => panic!("the schema has {other:?}, which is new to this test"),
        }
    }
}

fn collect(schema: &Schema, named: &mut HashMap<String, Schema>) {
    if let Some(name) = schema.name() {
        named.entry(name.to_string()).or_insert_with(|| schema.clone());
    }
    match schema {
        Schema::Record(record) => record.fields.iter().for_each(|field| collect(&field.schema, named)),
        Schema::Union(union) => union.variants().iter().for_each(|variant| collect(variant, named)),
        Schema::Array(array) => collect(&array.items, named),
        _ => {}
    }
}
