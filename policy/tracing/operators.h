// The operators of filters. The one list: the enums, the parser and docs/tracing-policy.md are made from it. Pure.
#pragma once

#include <array>
#include <string_view>

#include "policy/tracing/arg_types.h"

namespace sluice::policy::tracing {

// How the values of an operator are written.
enum class ValueForm {
  kOfType,     // as the argument's type says: numbers, texts, paths, sets of capabilities
  kSet,        // numbers, "first:last" and "list:NAME"
  kRange,      // "first:last", numbers of the argument's type
  kPrefix,     // the beginning of a text
  kPostfix,    // the end of a text
  kSubString,  // a part of a text
  kPort,       // 0 to 65535, or "first:last"
  kProtocol,   // a number, IPPROTO_*, or "first:last"
  kFamily,     // a number, AF_*, or "first:last"
  kState,      // a number, TCP_*, or "first:last"
  kAddress,    // an IPv4 or IPv6 address or CIDR
  kFileType,   // reg, dir, ...
  kNone,       // none
  kRefused,    // the operator is refused
};

inline constexpr std::uint32_t kNumberClasses = ValueClass::kSigned | ValueClass::kUnsigned | ValueClass::kCapability;
inline constexpr std::uint32_t kPathClasses = ValueClass::kPath | ValueClass::kName | ValueClass::kFile;
inline constexpr std::uint32_t kTextClasses = kPathClasses | ValueClass::kText | ValueClass::kUnixAddress;
inline constexpr std::uint32_t kEqualClasses = kNumberClasses | kTextClasses | ValueClass::kCapabilitySet;
inline constexpr std::uint32_t kFlowClasses = ValueClass::kSocket | ValueClass::kPacket;
inline constexpr std::uint32_t kSourceClasses = kFlowClasses | ValueClass::kAddress;

// X(enumerator, name, classes of arguments, form of the values, meaning)
#define SL_OPERATORS(X)                                                                                               \
  X(kEqual, "Equal", kEqualClasses, kOfType, "is one of the values")                                                  \
  X(kNotEqual, "NotEqual", kEqualClasses, kOfType, "is none of the values")                                           \
  X(kGreaterThan, "GreaterThan", kNumberClasses, kOfType, "is above one of the values; also GT")                      \
  X(kLessThan, "LessThan", kNumberClasses, kOfType, "is below one of the values; also LT")                            \
  X(kMask, "Mask", kNumberClasses | ValueClass::kCapabilitySet, kOfType, "has a bit of one of the values")            \
  X(kInRange, "InRange", kNumberClasses, kRange, "is in one of the ranges")                                           \
  X(kNotInRange, "NotInRange", kNumberClasses, kRange, "is in none of the ranges")                                    \
  X(kInMap, "InMap", kNumberClasses, kSet, "is in the set")                                                           \
  X(kNotInMap, "NotInMap", kNumberClasses, kSet, "is not in the set")                                                 \
  X(kPrefix, "Prefix", kTextClasses, kPrefix, "begins with one of the values")                                        \
  X(kNotPrefix, "NotPrefix", kTextClasses, kPrefix, "begins with none of the values")                                 \
  X(kPostfix, "Postfix", kTextClasses, kPostfix, "ends with one of the values")                                       \
  X(kNotPostfix, "NotPostfix", kTextClasses, kPostfix, "ends with none of the values")                                \
  X(kSubString, "SubString", kPathClasses | ValueClass::kText, kSubString, "contains one of the values")              \
  X(kSubStringIgnCase, "SubStringIgnCase", kPathClasses | ValueClass::kText, kSubString,                              \
    "contains one of the values, in upper or lower case")                                                             \
  X(kSAddr, "SAddr", kSourceClasses, kAddress, "the source address is in one of the values")                          \
  X(kNotSAddr, "NotSAddr", kSourceClasses, kAddress, "the source address is in none of the values")                   \
  X(kDAddr, "DAddr", kFlowClasses, kAddress, "the destination address is in one of the values")                       \
  X(kNotDAddr, "NotDAddr", kFlowClasses, kAddress, "the destination address is in none of the values")                \
  X(kSPort, "SPort", kSourceClasses, kPort, "the source port is one of the values")                                   \
  X(kNotSPort, "NotSPort", kSourceClasses, kPort, "the source port is none of the values")                            \
  X(kSPortPriv, "SPortPriv", kSourceClasses, kNone, "the source port is below 1024")                                  \
  X(kNotSPortPriv, "NotSPortPriv", kSourceClasses, kNone, "the source port is 1024 or above; also NotSportPriv")      \
  X(kDPort, "DPort", kFlowClasses, kPort, "the destination port is one of the values")                                \
  X(kNotDPort, "NotDPort", kFlowClasses, kPort, "the destination port is none of the values")                         \
  X(kDPortPriv, "DPortPriv", kFlowClasses, kNone, "the destination port is below 1024")                               \
  X(kNotDPortPriv, "NotDPortPriv", kFlowClasses, kNone, "the destination port is 1024 or above")                      \
  X(kProtocol, "Protocol", kFlowClasses, kProtocol, "the IP protocol is one of the values")                           \
  X(kFamily, "Family", kSourceClasses | ValueClass::kUnixAddress, kFamily, "the address family is one of the values") \
  X(kState, "State", static_cast<std::uint32_t>(ValueClass::kSocket), kState, "the TCP state is one of the values")   \
  X(kCapabilitiesGained, "CapabilitiesGained", static_cast<std::uint32_t>(ValueClass::kCapabilitySet), kNone,         \
    "the first set of `args` has a capability that the second has not")                                               \
  X(kFileType, "FileType", static_cast<std::uint32_t>(ValueClass::kFile), kFileType,                                  \
    "the file's type is one of the values")                                                                           \
  X(kNotFileType, "NotFileType", static_cast<std::uint32_t>(ValueClass::kFile), kFileType,                            \
    "the file's type is none of the values")                                                                          \
  X(kCelExpr, "CelExpr", 0U, kRefused, "refused: expressions are not compiled for the kernel")

enum class Operator {
#define SL_X(enumerator, name, classes, form, meaning) enumerator,
  SL_OPERATORS(SL_X)
#undef SL_X
};

struct OperatorInfo {
  Operator op;
  std::string_view name;  // as policies write it
  std::uint32_t classes;  // of arguments that it fits: bits of ValueClass
  ValueForm form;
  std::string_view meaning;
};

// In the order of Operator.
inline constexpr std::array kOperators = {
#define SL_X(enumerator, name, classes, form, meaning) \
  OperatorInfo{Operator::enumerator, name, classes, ValueForm::form, meaning},
    SL_OPERATORS(SL_X)
#undef SL_X
};

constexpr const OperatorInfo& InfoOf(Operator op) { return kOperators[static_cast<std::size_t>(op)]; }

// Second names of operators.
struct OperatorAlias {
  std::string_view name;
  Operator op;
};
inline constexpr std::array kOperatorAliases = {OperatorAlias{"GT", Operator::kGreaterThan},
                                                OperatorAlias{"LT", Operator::kLessThan},
                                                OperatorAlias{"NotSportPriv", Operator::kNotSPortPriv}};

// Operators of matchBinaries and matchParentBinaries. Filters on processes, namespaces and capabilities have the first
// two.
enum class SetOperator { kIn, kNotIn, kPrefix, kNotPrefix, kPostfix, kNotPostfix };
struct SetOperatorInfo {
  SetOperator op;
  std::string_view name;
};
inline constexpr std::array kSetOperators = {
    SetOperatorInfo{SetOperator::kIn, "In"},           SetOperatorInfo{SetOperator::kNotIn, "NotIn"},
    SetOperatorInfo{SetOperator::kPrefix, "Prefix"},   SetOperatorInfo{SetOperator::kNotPrefix, "NotPrefix"},
    SetOperatorInfo{SetOperator::kPostfix, "Postfix"}, SetOperatorInfo{SetOperator::kNotPostfix, "NotPostfix"}};

}  // namespace sluice::policy::tracing
