#include "policy/tracing/number.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "policy/resource/resource_scalar.h"

namespace sluice::policy::tracing {
namespace {

struct Digits {
  std::string text;
  int base = 10;
};

// Without sign. Empty: "_" stands where no digit is on both sides.
Digits DigitsOf(std::string_view text) {
  Digits digits;
  if (text.size() > 1 && text.front() == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    digits.base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
    text.remove_prefix(prefix == 'x' || prefix == 'b' || prefix == 'o' ? 2 : 1);
  }
  if (text.starts_with('_') || text.ends_with('_') || text.find("__") != std::string_view::npos) return {};
  digits.text = text;
  std::erase(digits.text, '_');
  return digits;
}

std::uint64_t HighestOf(bool is_signed, int bits) {
  return std::numeric_limits<std::uint64_t>::max() >> static_cast<unsigned>(64 - bits + (is_signed ? 1 : 0));
}

}  // namespace

std::optional<std::uint64_t> NumberOf(std::string_view text, bool is_signed, int bits) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const Digits digits = DigitsOf(text);
  if (digits.text.empty()) return std::nullopt;
  std::uint64_t magnitude = 0;
  const char* const end = digits.text.data() + digits.text.size();
  const auto [stop, error] = std::from_chars(digits.text.data(), end, magnitude, digits.base);
  if (error != std::errc() || stop != end) return std::nullopt;
  const std::uint64_t highest = HighestOf(is_signed, bits);
  if (!negative) return magnitude <= highest ? std::optional(magnitude) : std::nullopt;
  if (magnitude == 0) return 0;
  return is_signed && magnitude <= highest + 1 ? std::optional(~magnitude + 1) : std::nullopt;
}

std::string RangeOf(bool is_signed, int bits) {
  const std::uint64_t highest = HighestOf(is_signed, bits);
  return is_signed ? fmt::format("-{} to {}", highest + 1, highest) : fmt::format("0 to {}", highest);
}

StatusOr<std::string> ScalarText(const Field& field) {
  if (field.node().type != YamlNode::Type::kScalar) return field.Error("must be a single value");
  return field.node().scalar;
}

StatusOr<std::uint64_t> ParseUnsigned(const Field& field, std::uint64_t first, std::uint64_t last) {
  SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(field));
  const std::optional<std::uint64_t> number = NumberOf(text, false, 64);
  if (!number || *number < first || *number > last) {
    return field.Error(fmt::format("must be a number from {} to {}, got {}", first, last, Quoted(text)));
  }
  return *number;
}

}  // namespace sluice::policy::tracing
