// Constants of conditions.
#include <fmt/format.h>

#include <charconv>

#include "base/printable.h"
#include "policy/rules/bind.h"

namespace sluice::policy::rules {
namespace {

// A whole decimal number, or one in hex with 0x.
template <typename T>
std::optional<T> WholeNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    text.remove_prefix(2);
    base = 16;
  }
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Status NotA(std::string_view what, const std::string& text) {
  return InvalidError("the value is {}, not {}", what, PrintableWord(text));
}

StatusOr<std::uint64_t> NumberOf(ValueType type, const std::string& text) {
  if (type == ValueType::kBool) {
    if (text != "true" && text != "false") return NotA("true or false", text);
    return text == "true" ? 1 : 0;
  }
  if (type == ValueType::kSigned) {
    const auto number = WholeNumber<std::int64_t>(text);
    return number ? StatusOr<std::uint64_t>(static_cast<std::uint64_t>(*number)) : NotA("a whole number", text);
  }
  const auto number = WholeNumber<std::uint64_t>(text);
  if (type == ValueType::kPort && (!number || *number > 65'535)) return NotA("a port number from 0 to 65535", text);
  return number ? StatusOr<std::uint64_t>(*number) : NotA("a whole number from 0", text);
}

}  // namespace

StatusOr<Constant> ParseConstant(ValueType type, const std::string& text) {
  if (text.find('\0') != std::string::npos) return InvalidError("the value has a NUL byte, which no event has");
  Constant constant;
  switch (type) {
    case ValueType::kText:
    case ValueType::kBytes:
      constant.text = text;
      return constant;
    case ValueType::kAddress: {
      const auto address = Address::Parse(text);
      if (!address.ok()) return NotA("an address", text);
      constant.address = *address;
      return constant;
    }
    case ValueType::kNetwork: {
      const auto prefix = Prefix::Parse(text);
      if (!prefix.ok() || text.find('/') == std::string::npos) return NotA("a network such as 10.0.0.0/8", text);
      constant.prefix = *prefix;
      return constant;
    }
    default:
      break;
  }
  SL_ASSIGN_OR_RETURN(constant.number, NumberOf(type, text));
  return constant;
}

}  // namespace sluice::policy::rules
