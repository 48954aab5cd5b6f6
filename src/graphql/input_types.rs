//! Types of the arguments and input fields of the schema, for the checks of [`variables`](super::variables). Read from
//! the SDL, because async-graphql's registry is private to the library.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, ServiceDocument, Type, TypeKind, TypeSystemDefinition,
};

/// An argument or input field.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) of: Type,
    pub(super) has_default: bool,
}

/// Arguments of a field, or fields of an input object, by name.
type Inputs = HashMap<String, Input>;

/// A field of an object or interface.
#[derive(Debug)]
pub(super) struct OutputField {
    pub(super) arguments: Inputs,
    /// The named type of its values, without list and non-null.
    pub(super) output: String,
}

/// The types of a schema that the checks need.
#[derive(Debug, Default)]
pub(super) struct InputTypes {
    /// Fields of objects and interfaces, by the names of type and field.
    objects: HashMap<String, HashMap<String, OutputField>>,
    input_objects: HashMap<String, Inputs>,
    enums: HashSet<String>,
}

impl InputTypes {
    /// The types of a schema in the schema definition language.
    pub(super) fn of_sdl(sdl: &str) -> Self {
        // The library writes the SDL itself, and a test proves that it parses. Without the types, the checks that need
        // them would find no errors.
        parse_schema(sdl).map(Self::of).unwrap_or_default()
    }

    fn of(sdl: ServiceDocument) -> Self {
        let mut types = Self::default();
        for definition in sdl.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(object) => _ = types.objects.insert(name, fields(object.fields)),
                TypeKind::Interface(interface) => _ = types.objects.insert(name, fields(interface.fields)),
                TypeKind::InputObject(input) => _ = types.input_objects.insert(name, inputs(input.fields)),
                TypeKind::Enum(_) => _ = types.enums.insert(name),
                TypeKind::Scalar | TypeKind::Union(_) => {}
            }
        }
        types
    }

    /// A field of an object or interface; `None` if the schema has none of that name.
    pub(super) fn field(&self, parent: &str, name: &str) -> Option<&OutputField> {
        self.objects.get(parent)?.get(name)
    }

    /// A field of an input object; `None` if the schema has none of that name.
    pub(super) fn input_field(&self, parent: &str, name: &str) -> Option<&Input> {
        self.input_objects.get(parent)?.get(name)
    }

    pub(super) fn is_enum(&self, name: &str) -> bool {
        self.enums.contains(name)
    }
}

/// The named type inside the lists of a type, such as `Int` for `[Int!]!`.
pub(super) fn named_type(of: &Type) -> &str {
    match &of.base {
        BaseType::Named(name) => name,
        BaseType::List(element) => named_type(element),
    }
}

fn fields(definitions: Vec<Positioned<FieldDefinition>>) -> HashMap<String, OutputField> {
    let fields = definitions.into_iter().map(|field| {
        let output = named_type(&field.node.ty.node).to_owned();
        (field.node.name.node.to_string(), OutputField { arguments: inputs(field.node.arguments), output })
    });
    fields.collect()
}

fn inputs(definitions: Vec<Positioned<InputValueDefinition>>) -> Inputs {
    let inputs = definitions.into_iter().map(|input| {
        let has_default = input.node.default_value.is_some();
        (input.node.name.node.to_string(), Input { of: input.node.ty.node, has_default })
    });
    inputs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::schema::sdl;
    use super::*;

    #[test]
    fn the_schema_of_the_service_is_understood() {
        let types = InputTypes::of_sdl(&sdl());
        let predictions = types.field("Query", "predictions").unwrap();
        let first = &predictions.arguments["first"];
        assert!(first.has_default && !first.of.nullable);
        assert_eq!(types.field("Query", "validation").unwrap().arguments["basis"].of.to_string(), "ScoreBasis!");
        assert!(types.is_enum("ScoreBasis"));
        let filter = named_type(&predictions.arguments["filter"].of);
        assert!(types.input_field(filter, "minScore").is_some());
    }
}
