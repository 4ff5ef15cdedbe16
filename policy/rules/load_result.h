// What a rules file's loading says: errors and warnings with Falco's codes, each with the place that it is about. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/yaml.h"

namespace sluice::policy::rules {

// X(enumerator, code, description). The codes are Falco's: people's pipelines look for them.
#define SL_LOAD_ERRORS(X)                                                                   \
  X(kFileRead, "LOAD_ERR_FILE_READ", "the file cannot be read")                             \
  X(kYamlParse, "LOAD_ERR_YAML_PARSE", "the file is not YAML")                              \
  X(kYamlValidate, "LOAD_ERR_YAML_VALIDATE", "the file has not the structure of rules")     \
  X(kCompileCondition, "LOAD_ERR_COMPILE_CONDITION", "the condition is wrong")              \
  X(kCompileOutput, "LOAD_ERR_COMPILE_OUTPUT", "the output is wrong")                       \
  X(kValidate, "LOAD_ERR_VALIDATE", "the rule, macro, list, exception or version is wrong") \
  X(kExtension, "LOAD_ERR_EXTENSION", "an extension is wrong")

#define SL_LOAD_WARNINGS(X)                                                                               \
  X(kUnknownSource, "LOAD_UNKNOWN_SOURCE", "the rule is for events that are not there")                   \
  X(kUnsafeNaCheck, "LOAD_UNSAFE_NA_CHECK", "a value is compared with <NA>")                              \
  X(kNoEventType, "LOAD_NO_EVTTYPE", "the rule is for too many event types")                              \
  X(kUnknownFilter, "LOAD_UNKNOWN_FILTER", "the rule is left out: it has an unknown field or event type") \
  X(kUnusedMacro, "LOAD_UNUSED_MACRO", "nothing uses the macro")                                          \
  X(kUnusedList, "LOAD_UNUSED_LIST", "nothing uses the list")                                             \
  X(kUnknownItem, "LOAD_UNKNOWN_ITEM", "the item is neither rule, macro, list nor version")               \
  X(kDeprecatedItem, "LOAD_DEPRECATED_ITEM", "Falco has given this up")                                   \
  X(kExtension, "LOAD_WARNING_EXTENSION", "an extension warns")                                           \
  X(kAppendNoValues, "LOAD_APPEND_NO_VALUES", "the exception adds no values")                             \
  X(kExceptionNotUnique, "LOAD_EXCEPTION_NAME_NOT_UNIQUE", "the rule has the exception twice")            \
  X(kInvalidMacroName, "LOAD_INVALID_MACRO_NAME", "conditions cannot use a macro of this name")           \
  X(kInvalidListName, "LOAD_INVALID_LIST_NAME", "conditions cannot use a list of this name")              \
  X(kCompileCondition, "LOAD_COMPILE_CONDITION", "the condition may not be meant as it is")               \
  X(kUnknownKey, "LOAD_UNKNOWN_KEY", "the key is ignored")

enum class LoadError : std::uint8_t {
#define SL_X(enumerator, code, description) enumerator,
  SL_LOAD_ERRORS(SL_X)
#undef SL_X
};

enum class LoadWarning : std::uint8_t {
#define SL_X(enumerator, code, description) enumerator,
  SL_LOAD_WARNINGS(SL_X)
#undef SL_X
};

struct LoadCode {
  std::string_view code;
  std::string_view description;
};
inline constexpr std::array kLoadErrors = {
#define SL_X(enumerator, code, description) LoadCode{code, description},
    SL_LOAD_ERRORS(SL_X)
#undef SL_X
};
inline constexpr std::array kLoadWarnings = {
#define SL_X(enumerator, code, description) LoadCode{code, description},
    SL_LOAD_WARNINGS(SL_X)
#undef SL_X
};
constexpr const LoadCode& InfoOf(LoadError code) { return kLoadErrors[static_cast<std::size_t>(code)]; }
constexpr const LoadCode& InfoOf(LoadWarning code) { return kLoadWarnings[static_cast<std::size_t>(code)]; }

// One step of the way to a place: "rule 'Terminal shell in container'", "value for 'priority'".
struct Location {
  std::string_view type;  // in Falco's words: "rule", "macro", "list item", ...; a literal
  std::string name;       // empty: it has none
  Place place;            // line 0: the file as a whole
};

// The way from the file to a place in it.
struct Context {
  std::string file;
  std::vector<Location> locations;  // the last one is the place itself

  Context Inside(std::string_view type, std::string name, const Place& place) const;
  const Place& place() const { return locations.back().place; }
};

struct LoadMessage {
  std::string_view code;         // "LOAD_ERR_VALIDATE"; a literal
  std::string_view description;  // of the code
  std::string what;              // printable, one line
  Context context;
  // The line that it is about, with "^" in a second line below the place.
  std::string snippet;

  std::string ToString() const;  // "FILE:LINE:COLUMN: rule 'x': CODE: what"
};

// The result of one file.
struct LoadResult {
  std::string file;
  std::vector<LoadMessage> errors;  // at most one: the first
  std::vector<LoadMessage> warnings;

  bool ok() const { return errors.empty(); }
};

// The line around `offset`, cut to what fits a terminal, and the mark below.
std::string SnippetOf(std::string_view text, std::size_t offset);
// The offset of a place in a text; the text's end if there is no such place.
std::size_t OffsetOf(std::string_view text, const Place& place);

}  // namespace sluice::policy::rules
