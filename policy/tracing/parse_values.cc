// The values of filters on arguments.
#include <algorithm>

#include "policy/tracing/constants.h"
#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

// How one number of a value is read.
struct NumberSyntax {
  std::string what;  // "a number of type int", for errors
  bool is_signed = false;
  int bits = 64;
  std::uint64_t last = ~std::uint64_t{0};  // of unsigned ones
  std::span<const NamedNumber> names;
  bool capabilities = false;  // names of capabilities count too
};

std::string AllowedNumbers(const NumberSyntax& syntax) {
  return syntax.last != ~std::uint64_t{0} ? fmt::format("0 to {}", syntax.last)
                                          : RangeOf(syntax.is_signed, syntax.bits);
}

Status NotANumber(const Field& field, std::string_view text, const NumberSyntax& syntax) {
  std::string names;
  if (!syntax.names.empty()) names = fmt::format(" or a name such as {}", syntax.names.front().name);
  if (syntax.capabilities) names = " or a name such as CAP_SYS_ADMIN";
  return field.Error(
      fmt::format("must be {} ({}){}, got {}", syntax.what, AllowedNumbers(syntax), names, Quoted(text)));
}

StatusOr<std::uint64_t> NumberIn(const Field& field, std::string_view text, const NumberSyntax& syntax) {
  if (const NamedNumber* named = FindName(syntax.names, text); named != nullptr) return named->number;
  if (syntax.capabilities) {
    if (const auto number = CapabilityNumber(text)) return *number;
  }
  const std::optional<std::uint64_t> number = NumberOf(text, syntax.is_signed, syntax.bits);
  if (!number || (!syntax.is_signed && *number > syntax.last)) return NotANumber(field, text, syntax);
  return *number;
}

StatusOr<NumberRange> RangeIn(const Field& field, std::string_view text, const NumberSyntax& syntax) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    SL_ASSIGN_OR_RETURN(const std::uint64_t number, NumberIn(field, text, syntax));
    return NumberRange{number, number};
  }
  NumberRange range;
  SL_ASSIGN_OR_RETURN(range.first, NumberIn(field, text.substr(0, colon), syntax));
  SL_ASSIGN_OR_RETURN(range.last, NumberIn(field, text.substr(colon + 1), syntax));
  const bool reversed = syntax.is_signed
                            ? static_cast<std::int64_t>(range.last) < static_cast<std::int64_t>(range.first)
                            : range.last < range.first;
  if (reversed) return field.Error(fmt::format("range {}: the last number is below the first", Quoted(text)));
  return range;
}

NumberSyntax SyntaxOf(const ArgTypeInfo& type) {
  return {.what = fmt::format("a number of type {}", type.name),
          .is_signed = type.values == ValueClass::kSigned,
          .bits = type.bits,
          .last = type.values == ValueClass::kCapability ? kLastCapability : ~std::uint64_t{0},
          .names = {},
          .capabilities = type.values == ValueClass::kCapability};
}

NumberSyntax SyntaxOf(ValueForm form) {
  switch (form) {
    case ValueForm::kPort:
      return {.what = "a port", .last = 65535};
    case ValueForm::kProtocol:
      return {.what = "an IP protocol", .last = kLastIpProtocol, .names = IpProtocols()};
    case ValueForm::kFamily:
      return {.what = "an address family", .last = kLastFamily, .names = AddressFamilies()};
    default:
      return {.what = "a TCP state", .last = kLastTcpState, .names = TcpStates()};
  }
}

// "0x1000" or "CAP_NET_RAW,CAP_SYS_ADMIN".
StatusOr<std::uint64_t> CapabilityMaskIn(const Field& field, std::string_view text) {
  if (const auto number = NumberOf(text, false, 64)) return *number;
  std::uint64_t mask = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto number = CapabilityNumber(rest.substr(0, comma));
    if (!number) {
      return field.Error(fmt::format(
          "must be a mask such as 0x1000, or names of capabilities with commas between, got {}", Quoted(text)));
    }
    mask |= std::uint64_t{1} << *number;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return mask;
}

// A string, or a path. The NUL that some write at the end, as C would have it, is not part of it.
StatusOr<std::string> ParseTextValue(const Field& field, ValueForm form, const ArgTypeInfo& type) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (type.type != ArgType::kCharBuf) {
    if (text.ends_with('\0')) text.pop_back();
    if (text.find('\0') != std::string::npos) {
      return field.Error(fmt::format("{} has a NUL inside: type {} ends at the first one", Quoted(text), type.name));
    }
  }
  if (text.empty()) return field.Error("is empty, and would match everything or nothing");
  const std::size_t limit = form == ValueForm::kPrefix      ? kMaxPrefixBytes
                            : form == ValueForm::kPostfix   ? kMaxPostfixBytes
                            : form == ValueForm::kSubString ? kMaxSubStringBytes
                                                            : kMaxTextBytes;
  if (text.size() > limit) return field.Error(fmt::format("{} bytes: at most {} are possible", text.size(), limit));
  const bool absolute = type.values == ValueClass::kPath || type.values == ValueClass::kFile;
  if (form == ValueForm::kOfType && absolute && text.front() != '/') {
    return field.Error(
        fmt::format("type {} is a whole path: {} must begin with \"/\". Postfix compares the end of a path", type.name,
                    Quoted(text)));
  }
  return text;
}

StatusOr<Prefix> ParseAddressValue(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  if (text.find('/') != std::string::npos) {
    const StatusOr<Prefix> prefix = Prefix::Parse(text);
    if (!prefix.ok()) return field.Error(Message(prefix.status()));
    return *prefix;
  }
  const StatusOr<Address> address = Address::Parse(text);
  if (!address.ok()) return field.Error(Message(address.status()));
  return Prefix::Host(*address);
}

// Of InMap and NotInMap.
Status ParseSetValue(const Field& field, const ArgTypeInfo& type, const PolicyParts& policy, FilterValues& values) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  const std::optional<std::string_view> name = ListReference(text);
  if (!name) {
    SL_ASSIGN_OR_RETURN(const NumberRange range, RangeIn(field, text, SyntaxOf(type)));
    values.numbers.push_back(range);
    return OkStatus();
  }
  SL_ASSIGN_OR_RETURN(const List* list, FindListAt(field, *name, policy));
  if (list->type != List::Type::kSyscalls && list->type != List::Type::kGeneratedSyscalls) {
    return field.Error(
        fmt::format("list {} has functions, not numbers: only lists of type syscalls and "
                    "generated_syscalls can be compared",
                    Quoted(*name)));
  }
  values.lists.push_back(list->name);
  return OkStatus();
}

std::size_t LimitOf(ValueForm form, const ArgTypeInfo& type) {
  switch (form) {
    case ValueForm::kOfType:
      return Has(kTextClasses, type.values) ? kMaxTexts : kMaxNumbers;
    case ValueForm::kSet:
      return kMaxSetValues;
    case ValueForm::kRange:
    case ValueForm::kFileType:
      return kMaxNumbers;
    case ValueForm::kPrefix:
    case ValueForm::kPostfix:
    case ValueForm::kSubString:
      return kMaxTexts;
    case ValueForm::kAddress:
      return kMaxAddresses;
    case ValueForm::kPort:
    case ValueForm::kProtocol:
    case ValueForm::kFamily:
    case ValueForm::kState:
      return kMaxRanges;
    case ValueForm::kNone:
    case ValueForm::kRefused:
      break;
  }
  return 0;
}

StatusOr<NumberRange> ParseNumberValue(const Field& field, ValueForm form, const ArgTypeInfo& type) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  switch (form) {
    case ValueForm::kOfType: {
      if (type.values != ValueClass::kCapabilitySet) {
        SL_ASSIGN_OR_RETURN(const std::uint64_t number, NumberIn(field, text, SyntaxOf(type)));
        return NumberRange{number, number};
      }
      SL_ASSIGN_OR_RETURN(const std::uint64_t mask, CapabilityMaskIn(field, text));
      return NumberRange{mask, mask};
    }
    case ValueForm::kRange:
      if (text.find(':') == std::string::npos) {
        return field.Error(fmt::format("must be a range such as \"1:10\", got {}", Quoted(text)));
      }
      return RangeIn(field, text, SyntaxOf(type));
    case ValueForm::kFileType: {
      const auto types = FileTypes();
      const NamedNumber* named = FindName(types, text);
      if (named == nullptr) {
        return field.Error(fmt::format("unknown type of file {}{}", Quoted(text), InsteadOf(types, text)));
      }
      return NumberRange{named->number, named->number};
    }
    default:
      return RangeIn(field, text, SyntaxOf(form));
  }
}

bool IsText(ValueForm form, const ArgTypeInfo& type) {
  return form == ValueForm::kPrefix || form == ValueForm::kPostfix || form == ValueForm::kSubString ||
         (form == ValueForm::kOfType && Has(kTextClasses, type.values));
}

}  // namespace

StatusOr<FilterValues> ParseFilterValues(const Field& filter, const OperatorInfo& op, const ArgTypeInfo& type,
                                         const PolicyParts& policy) {
  FilterValues values;
  const auto list = filter.Get("values");
  const bool empty = !list || (list->node().type == YamlNode::Type::kSequence && list->node().items.empty());
  if (op.form == ValueForm::kNone) {
    if (!empty) return list->Error(fmt::format("operator {} takes no values: leave them out", op.name));
    return values;
  }
  if (!list) return filter.Missing("values");
  if (empty) return list->Error(fmt::format("operator {} needs at least one value", op.name));
  SL_RETURN_IF_ERROR(list->CheckSequence());
  if (const std::size_t count = list->node().items.size(); count > LimitOf(op.form, type)) {
    return list->Error(fmt::format(
        "{} values: operator {} takes at most {}{}", count, op.name, LimitOf(op.form, type),
        op.form == ValueForm::kOfType && Has(kNumberClasses, type.values) ? "; InMap takes more numbers" : ""));
  }
  SL_RETURN_IF_ERROR(list->ForEachItem([&](const Field& item) -> Status {
    if (op.form == ValueForm::kSet) return ParseSetValue(item, type, policy, values);
    if (op.form == ValueForm::kAddress) {
      SL_ASSIGN_OR_RETURN(const Prefix prefix, ParseAddressValue(item));
      values.addresses.push_back(prefix);
    } else if (IsText(op.form, type)) {
      SL_ASSIGN_OR_RETURN(std::string text, ParseTextValue(item, op.form, type));
      values.texts.push_back(std::move(text));
    } else {
      SL_ASSIGN_OR_RETURN(const NumberRange number, ParseNumberValue(item, op.form, type));
      values.numbers.push_back(number);
    }
    return OkStatus();
  }));
  return values;
}

}  // namespace sluice::policy::tracing
