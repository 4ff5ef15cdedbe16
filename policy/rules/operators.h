// The operators of conditions. The one list: the parser, the checks and docs/rules.md are made from it. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "policy/rules/value.h"

namespace sluice::policy::rules {

// What stands to the right of an operator.
enum class RightSide : std::uint8_t {
  kNothing,
  kNumber,  // a number, or another field
  kText,    // a text, or another field; with a modifier a list
  kList,    // a list in parentheses, or a list of another field
};

// Sets of types, as bits.
struct TypeClass {
  static constexpr std::uint32_t kText = 1;
  static constexpr std::uint32_t kBytes = 2;
  static constexpr std::uint32_t kNumber = 4;
  static constexpr std::uint32_t kBool = 8;
  static constexpr std::uint32_t kAddress = 16;  // addresses and networks
  static constexpr std::uint32_t kAll = 31;
};
std::uint32_t ClassOf(ValueType type);

// X(enumerator, name, right side, classes of types, meaning)
#define SL_RULE_OPERATORS(X)                                                                                        \
  X(kExists, "exists", kNothing, TypeClass::kAll, "the field is not missing")                                       \
  X(kEqual, "=", kText, TypeClass::kAll, "is equal; also ==")                                                       \
  X(kNotEqual, "!=", kText, TypeClass::kAll, "is there and is not equal")                                           \
  X(kLess, "<", kNumber, TypeClass::kNumber | TypeClass::kText, "is below")                                         \
  X(kLessEqual, "<=", kNumber, TypeClass::kNumber | TypeClass::kText, "is below or equal")                          \
  X(kGreater, ">", kNumber, TypeClass::kNumber | TypeClass::kText, "is above")                                      \
  X(kGreaterEqual, ">=", kNumber, TypeClass::kNumber | TypeClass::kText, "is above or equal")                       \
  X(kContains, "contains", kText, TypeClass::kText | TypeClass::kBytes, "has this part")                            \
  X(kFoldedContains, "icontains", kText, TypeClass::kText + 0, "has this part, in upper or lower case")             \
  X(kByteContains, "bcontains", kText, TypeClass::kBytes + 0, "has these bytes, which are written as hex digits")   \
  X(kStartsWith, "startswith", kText, TypeClass::kText | TypeClass::kBytes, "begins with")                          \
  X(kByteStartsWith, "bstartswith", kText, TypeClass::kBytes + 0, "begins with these bytes, written as hex digits") \
  X(kEndsWith, "endswith", kText, TypeClass::kText | TypeClass::kBytes, "ends with")                                \
  X(kGlob, "glob", kText, TypeClass::kText + 0, "matches the pattern: ? * [a-z]; * matches / too")                  \
  X(kFoldedGlob, "iglob", kText, TypeClass::kText + 0, "the same, in upper or lower case")                          \
  X(kRegex, "regex", kText, TypeClass::kText + 0, "matches the POSIX regular expression as a whole")                \
  X(kIn, "in", kList, TypeClass::kAll, "is one of; a list: each is one of")                                         \
  X(kIntersects, "intersects", kList, TypeClass::kAll, "is one of; a list: at least one is one of")                 \
  X(kPathMatch, "pmatch", kList, TypeClass::kText + 0, "is one of these paths, or below one; they may be patterns")

enum class Operator : std::uint8_t {
#define SL_X(enumerator, name, right, classes, meaning) enumerator,
  SL_RULE_OPERATORS(SL_X)
#undef SL_X
};

struct OperatorInfo {
  Operator op;
  std::string_view name;
  RightSide right;
  std::uint32_t classes;  // of types that it compares
  std::string_view meaning;
};

// In the order of Operator.
inline constexpr std::array kOperators = {
#define SL_X(enumerator, name, right, classes, meaning) \
  OperatorInfo{Operator::enumerator, name, RightSide::right, classes, meaning},
    SL_RULE_OPERATORS(SL_X)
#undef SL_X
};

constexpr const OperatorInfo& InfoOf(Operator op) { return kOperators[static_cast<std::size_t>(op)]; }

// After an operator with a text to its right: it is compared with each text of a list. False for an empty list.
enum class Modifier : std::uint8_t { kNone, kOneOf, kAnyOf, kAllOf };

struct ModifierInfo {
  Modifier modifier;
  std::string_view name;
  std::string_view meaning;
};
inline constexpr std::array kModifiers = {ModifierInfo{Modifier::kOneOf, "oneof", "true for exactly one of the list"},
                                          ModifierInfo{Modifier::kAnyOf, "anyof", "true for at least one of the list"},
                                          ModifierInfo{Modifier::kAllOf, "allof", "true for each of the list"}};
std::string_view NameOf(Modifier modifier);  // empty: none

// Functions of values, in conditions and in outputs.
enum class Transform : std::uint8_t { kValue, kLower, kUpper, kBase64, kBaseName, kLength, kJoin, kConcat, kGetOption };

struct TransformInfo {
  Transform transform;
  std::string_view name;
  std::string_view meaning;
};
inline constexpr std::array kTransforms = {
    TransformInfo{Transform::kValue, "val", "the field itself, to the right of an operator"},
    TransformInfo{Transform::kLower, "tolower", "with lower-case letters"},
    TransformInfo{Transform::kUpper, "toupper", "with upper-case letters"},
    TransformInfo{Transform::kBase64, "b64", "decoded from base64; missing if it is not base64"},
    TransformInfo{Transform::kBaseName, "basename", "what follows the last /"},
    TransformInfo{Transform::kLength, "len", "how many bytes the text has, or how many values the list"},
    TransformInfo{Transform::kJoin, "join", "join(SEPARATOR, LIST): the texts of the list as one"},
    TransformInfo{Transform::kConcat, "concat", "concat(A, B, ...): one text after the other"},
    TransformInfo{Transform::kGetOption, "getopt",
                  "getopt(LIST, OPTIONS): the options among the words, as getopt(3) reads them; with [C] the value of "
                  "one option"}};
constexpr const TransformInfo& InfoOf(Transform transform) { return kTransforms[static_cast<std::size_t>(transform)]; }

}  // namespace sluice::policy::rules
