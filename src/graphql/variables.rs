//! Handles the variables and input literals of the selected operation as the specification requires, where
//! async-graphql does not. Pure: needs the types of the schema only.
//!
//! The library reads a variable that is left out as null, even where an argument such as `first: Int! = 20` has a
//! default. Such requests are rewritten to equivalent ones that the library handles.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
    OperationType, Selection, SelectionSet, Type,
};
use async_graphql::{Name, Pos, Positioned, ServerError, Value as ConstValue, Variables};
use async_graphql_value::Value;

use super::document::selected_operation;
use super::error::error_with_code;
use super::error_code::ErrorCode;
use super::input_types::{InputTypes, named_type};

/// Finds the variables of the selected operation that lack a required value, and those whose type is a built-in scalar
/// and whose value is of another kind. async-graphql would check a value only where its variable is used.
pub(super) fn wrong_variables(
    document: &ExecutableDocument,
    name: Option<&str>,
    variables: &Variables,
) -> Vec<WrongVariable> {
    let Some((_, operation)) = selected_operation(document, name) else { return Vec::new() };
    let wrong = operation.variable_definitions.iter().filter_map(|definition| {
        let (pos, definition) = (definition.pos, &definition.node);
        let (name, of) = (definition.name.node.clone(), &definition.var_type.node);
        let problem = match variables.get(&name) {
            None if of.nullable || definition.default_value.is_some() => return None,
            None | Some(ConstValue::Null) if !of.nullable => "must have a value",
            Some(value) if !is_of_type(value, of) => "has a value of another type",
            _ => return None,
        };
        Some(WrongVariable { name, of: of.to_string(), problem, pos })
    });
    wrong.collect()
}

/// A variable whose value is missing or not of its type.
#[derive(Debug)]
pub(super) struct WrongVariable {
    name: Name,
    of: String,
    problem: &'static str,
    pos: Pos,
}

impl WrongVariable {
    /// Removes the value of the variable if it is null: for a null, the error of async-graphql's validation would name
    /// the argument and not the variable.
    pub(super) fn remove_null(&self, variables: &mut Variables) {
        if variables.get(&self.name) == Some(&ConstValue::Null) {
            variables.remove(&self.name);
        }
    }
}

impl From<WrongVariable> for ServerError {
    fn from(WrongVariable { name, of, problem, pos }: WrongVariable) -> Self {
        let text = format!("the variable \"${name}\" of type \"{of}\" {problem}");
        Self { locations: vec![pos], ..error_with_code(ErrorCode::ValidationFailed, text) }
    }
}

/// Whether a value is of the kind that its type requires. Only built-in scalars are checked here; validation checks the
/// types that the schema defines.
fn is_of_type(value: &ConstValue, of: &Type) -> bool {
    match (value, &of.base) {
        (ConstValue::Null, _) => of.nullable,
        (ConstValue::List(items), BaseType::List(element)) => items.iter().all(|item| is_of_type(item, element)),
        // One value stands for a list of one.
        (value, BaseType::List(element)) => is_of_type(value, element),
        (value, BaseType::Named(name)) => match name.as_str() {
            "Boolean" => matches!(value, ConstValue::Boolean(_)),
            "Int" | "Float" => matches!(value, ConstValue::Number(_)),
            "String" => matches!(value, ConstValue::String(_)),
            "ID" => matches!(value, ConstValue::String(_) | ConstValue::Number(_)),
            _ => true,
        },
    }
}

/// Rewrites the selected operation and the fragments that it spreads, each once. An argument or input field with a
/// default is removed if its value is a variable that the request leaves out. A variable that is left out takes its
/// default as its value, since the library ignores the defaults of variables in `@include` and `@skip`. Returns whether
/// the document has changed.
///
/// # Errors
/// Validation errors for enum values that are written as strings.
pub(super) fn rewrite(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    variables: &mut Variables,
    types: &InputTypes,
) -> Result<bool, Vec<ServerError>> {
    let Some((name, _)) = selected_operation(document, name) else { return Ok(false) };
    let name = name.map(Name::new);
    // The same operation again, now mutable.
    let operation = match (&mut document.operations, &name) {
        (DocumentOperations::Single(operation), _) => operation,
        (DocumentOperations::Multiple(all), Some(name)) => match all.get_mut(name) {
            Some(operation) => operation,
            None => return Ok(false),
        },
        (DocumentOperations::Multiple(_), None) => return Ok(false),
    };
    for definition in &operation.node.variable_definitions {
        if let Some(default) = &definition.node.default_value {
            variables.entry(definition.node.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
    let mut rewriter = Rewriter::new(types, &operation.node, variables, &mut document.fragments);
    rewriter.operation(&mut operation.node);
    let Rewriter { reached, removed, errors, .. } = rewriter;
    if !errors.is_empty() {
        return Err(errors);
    }
    if let DocumentOperations::Multiple(all) = &mut document.operations
        && all.len() > 1
        && !removed.is_empty()
    {
        // The other operations may share a rewritten fragment, and would now declare variables that they do not use.
        all.retain(|other, _| Some(other) == name.as_ref());
        document.fragments.retain(|fragment, _| reached.contains(fragment));
    }
    Ok(!removed.is_empty())
}

/// Where a value is: the type expected there, if the schema knows it, and whether there is a default.
#[derive(Clone, Copy, Default)]
struct Location<'a> {
    of: Option<&'a Type>,
    has_default: bool,
}

struct Rewriter<'a> {
    types: &'a InputTypes,
    fragments: &'a mut HashMap<Name, Positioned<FragmentDefinition>>,
    /// Fragments already visited. The document is not validated yet, so fragments may spread each other in a circle.
    reached: HashSet<Name>,
    /// Optional variables that the request leaves out and that have no default.
    left_out: HashSet<Name>,
    /// Variables that were removed in at least one place.
    removed: HashSet<Name>,
    /// Variables that were kept in at least one place, so that their definitions must stay.
    kept: HashSet<Name>,
    errors: Vec<ServerError>,
}

impl<'a> Rewriter<'a> {
    fn new(
        types: &'a InputTypes,
        operation: &OperationDefinition,
        variables: &Variables,
        fragments: &'a mut HashMap<Name, Positioned<FragmentDefinition>>,
    ) -> Self {
        let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
        let left_out = definitions.filter(|definition| {
            let is_optional = definition.var_type.node.nullable && definition.default_value.is_none();
            is_optional && !variables.contains_key(&definition.name.node)
        });
        Self {
            types,
            fragments,
            left_out: left_out.map(|definition| definition.name.node.clone()).collect(),
            reached: HashSet::new(),
            removed: HashSet::new(),
            kept: HashSet::new(),
            errors: Vec::new(),
        }
    }

    fn operation(&mut self, operation: &mut OperationDefinition) {
        for definition in &operation.variable_definitions {
            let Some(default) = &definition.node.default_value else { continue };
            let location = Location { of: Some(&definition.node.var_type.node), has_default: false };
            // This call only checks enum values: a default has no variables, so there is nothing to rewrite in it.
            self.rewrite_value(location, &mut default.node.clone().into_value(), default.pos);
        }
        self.directives(&mut operation.directives);
        let root = match operation.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        self.selection_set(&mut operation.selection_set.node, Some(root));
        // Validation would reject the definition of a variable that is no longer used.
        operation.variable_definitions.retain(|definition| {
            let name = &definition.node.name.node;
            !self.removed.contains(name) || self.kept.contains(name)
        });
    }

    fn selection_set(&mut self, set: &mut SelectionSet, parent: Option<&str>) {
        for selection in &mut set.items {
            self.directives(selection.node.directives_mut());
            match &mut selection.node {
                Selection::Field(field) => self.field(&mut field.node, parent),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.to_string());
                    self.selection_set(&mut fragment.node.selection_set.node, condition.as_deref().or(parent));
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            }
        }
    }

    /// Rewrites the arguments of a field and its selection set. Removes the arguments that the request leaves out.
    fn field(&mut self, field: &mut Field, parent: Option<&str>) {
        let types = self.types;
        let definition = parent.and_then(|parent| types.field(parent, &field.name.node));
        field.arguments.retain_mut(|(name, value)| {
            let declared = definition.and_then(|definition| definition.arguments.get(name.node.as_str()));
            let location =
                declared.map(|argument| Location { of: Some(&argument.of), has_default: argument.has_default });
            self.rewrite_value(location.unwrap_or_default(), &mut value.node, value.pos)
        });
        self.selection_set(&mut field.selection_set.node, definition.map(|definition| definition.output.as_str()));
    }

    fn fragment(&mut self, name: &Name) {
        if !self.reached.insert(name.clone()) {
            return;
        }
        // Taken out of the map, so that it can be changed while the map is read.
        let Some(mut fragment) = self.fragments.remove(name) else { return };
        self.directives(&mut fragment.node.directives);
        let parent = fragment.node.type_condition.node.on.node.to_string();
        self.selection_set(&mut fragment.node.selection_set.node, Some(&parent));
        self.fragments.insert(name.clone(), fragment);
    }

    /// Arguments of directives have no defaults in this schema, so none is removed: their variables count as used.
    fn directives(&mut self, directives: &mut [Positioned<Directive>]) {
        for (_, value) in directives.iter_mut().flat_map(|directive| &mut directive.node.arguments) {
            self.rewrite_value(Location::default(), &mut value.node, value.pos);
        }
    }

    /// Rewrites the value of an argument or input field. Returns whether to keep the argument or field.
    fn rewrite_value(&mut self, location: Location<'_>, value: &mut Value, pos: Pos) -> bool {
        let types = self.types;
        let named = location.of.map(named_type);
        match value {
            Value::Variable(name) => return self.record_variable(location, name),
            Value::List(items) => {
                let element = location.of.and_then(|of| match &of.base {
                    BaseType::List(element) => Some(&**element),
                    BaseType::Named(_) => None,
                });
                // An item of a list has no default, so it is never removed.
                for item in items {
                    self.rewrite_value(Location { of: element, has_default: false }, item, pos);
                }
            }
            Value::Object(fields) => fields.retain(|name, value| {
                let field = named.and_then(|parent| types.input_field(parent, name));
                let location = field.map(|of| Location { of: Some(&of.of), has_default: of.has_default });
                self.rewrite_value(location.unwrap_or_default(), value, pos)
            }),
            Value::String(_) => {
                if let Some(name) = named.filter(|name| types.is_enum(name)) {
                    let problem = format!("write the value of the enum \"{name}\" without quotes");
                    let error = error_with_code(ErrorCode::ValidationFailed, problem);
                    self.errors.push(ServerError { locations: vec![pos], ..error });
                }
            }
            _ => {}
        }
        true
    }

    /// Records whether the use of a variable is kept or removed, and returns whether it is kept.
    fn record_variable(&mut self, location: Location<'_>, name: &Name) -> bool {
        if location.has_default && self.left_out.contains(name) {
            self.removed.insert(name.clone());
            return false;
        }
        self.kept.insert(name.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::value;

    use super::*;

    const SDL: &str = "type Query { films(first: Int! = 25, basis: Basis! = BLIND, in: [Basis!], filter: Filter, \
                       list: String = \"all\"): Film! film(id: ID!): Film! } \
                       type Film { votes(first: Int! = 5): Int! } \
                       input Filter { active: Boolean! = true, basis: Basis, all: [Filter!], year: Int } \
                       enum Basis { BLIND }";

    /// The rewritten document and its variables.
    fn rewritten(query: &str, name: Option<&str>, variables: ConstValue) -> (String, Variables) {
        let mut document = parse_query(query).unwrap();
        let mut variables = Variables::from_value(variables);
        rewrite(&mut document, name, &mut variables, &InputTypes::of_sdl(SDL)).unwrap();
        (text_of(&document), variables)
    }

    /// Declarations, then arguments of the fields of all operations and fragments, in the order of the document.
    fn text_of(document: &ExecutableDocument) -> String {
        let mut text = String::new();
        for (_, operation) in document.operations.iter() {
            for definition in &operation.node.variable_definitions {
                text += &format!("${}: {}; ", definition.node.name.node, definition.node.var_type.node);
            }
            describe(&operation.node.selection_set.node, &mut text);
        }
        for fragment in document.fragments.values() {
            text += "fragment ";
            describe(&fragment.node.selection_set.node, &mut text);
        }
        text.trim_end().to_owned()
    }

    fn describe(set: &SelectionSet, text: &mut String) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let arguments = &field.node.arguments;
                    let arguments = arguments.iter().map(|(name, value)| format!("{}: {}", name.node, value.node));
                    let arguments = arguments.collect::<Vec<_>>().join(", ");
                    *text += &format!("{}({arguments}) ", field.node.name.node);
                    describe(&field.node.selection_set.node, text);
                }
                Selection::InlineFragment(fragment) => describe(&fragment.node.selection_set.node, text),
                Selection::FragmentSpread(_) => *text += "... ",
            }
        }
    }

    fn rewritten_text(query: &str, variables: ConstValue) -> String {
        rewritten(query, None, variables).0
    }

    #[test]
    fn arguments_with_a_default_are_removed_if_their_variable_is_left_out() {
        let query = "query($n: Int, $b: Basis) { films(first: $n, basis: $b) { votes(first: $n) } }";
        assert_eq!(rewritten_text(query, value!({})), "films() votes()");
        let query = "query($a: Boolean, $y: Int) { films(filter: {all: [{active: $a, year: $y}]}) }";
        assert_eq!(rewritten_text(query, value!({})), "$y: Int; films(filter: {all: [{year: $y}]})");
        let query = "query($l: String) { films(list: $l) }";
        assert_eq!(rewritten_text(query, value!({ "l": null })), "$l: String; films(list: $l)");
    }

    #[test]
    fn fragments_are_rewritten_and_other_operations_that_share_them_are_dropped() {
        let query = "query A($n: Int) { ...F } query B($n: Int) { ...F ...G } \
                     fragment F on Query { ... on Query { films(first: $n) } ...F } fragment G on Query { film }";
        assert_eq!(rewritten(query, Some("A"), value!({})).0, "... fragment films() ...");
        let unchanged = rewritten(query, Some("A"), value!({ "n": 1 })).0;
        assert!(unchanged.matches("$n: Int;").count() == 2 && unchanged.matches("fragment").count() == 2);
    }

    #[test]
    fn exponential_fragments_are_rewritten_in_linear_time() {
        let mut query = "query($n: Int) { ...F0 } ".to_owned();
        for n in 0..60 {
            query += &format!("fragment F{n} on Query {{ ...F{} ...F{} }} ", n + 1, n + 1);
        }
        query += "fragment F60 on Query { films(first: $n) }";
        assert!(rewritten_text(&query, value!({})).contains("films()"));
    }

    #[test]
    fn variables_that_are_left_out_have_their_default_as_value() {
        let variables = rewritten("query($b: Boolean = true) { films @include(if: $b) }", None, value!({})).1;
        assert_eq!(variables.get("b"), Some(&ConstValue::Boolean(true)));
    }

    #[test]
    fn enum_values_written_as_strings_are_refused() {
        for query in [
            "{ films(basis: \"BLIND\") }",
            "{ films(in: [BLIND, \"BLIND\"]) }",
            "{ films(in: \"BLIND\") }",
            "{ films(filter: {all: [{basis: \"BLIND\"}]}) }",
            "query($b: Basis! = \"BLIND\") { films(basis: $b) }",
        ] {
            let mut document = parse_query(query).unwrap();
            let errors = rewrite(&mut document, None, &mut Variables::default(), &InputTypes::of_sdl(SDL)).unwrap_err();
            assert!(errors[0].message.contains("Basis"), "{query}");
        }
        let query = "query($b: Basis!) { films(basis: $b, list: \"BLIND\", filter: {basis: BLIND}) }";
        assert!(rewritten_text(query, value!({ "b": "BLIND" })).contains("BLIND"));
    }

    #[test]
    fn values_that_a_type_requires_are_reported_by_variable() {
        let wrong_of = |query: &str, variables: ConstValue| {
            let document = parse_query(query).unwrap();
            let wrong = wrong_variables(&document, None, &Variables::from_value(variables));
            wrong.into_iter().map(|variable| ServerError::from(variable).message).collect::<Vec<_>>()
        };
        let query = "query($a: Int!, $b: [ID!]!, $c: Boolean! = true, $d: Int, $e: Boolean) { x }";
        assert_eq!(
            wrong_of(query, value!({ "b": null, "e": "true" })),
            [
                "the variable \"$a\" of type \"Int!\" must have a value",
                "the variable \"$b\" of type \"[ID!]!\" must have a value",
                "the variable \"$e\" of type \"Boolean\" has a value of another type",
            ]
        );
        assert!(wrong_of(query, value!({ "a": 1, "b": [1, "2"], "d": null, "e": null })).is_empty());
        assert_eq!(wrong_of(query, value!({ "a": [1], "b": [1, null], "c": null })).len(), 3);
    }
}
