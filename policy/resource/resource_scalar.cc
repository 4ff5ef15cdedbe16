#include "policy/resource/resource_scalar.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace sluice::policy {
namespace {

// The three spellings that YAML 1.1 knows: yes, Yes, YES.
bool IsSpelling(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  const auto upper = [](char c) { return static_cast<char>(c - 'a' + 'A'); };
  if (text == lower) return true;
  if (text.front() != upper(lower.front())) return false;
  return text.substr(1) == lower.substr(1) ||
         std::equal(text.begin(), text.end(), lower.begin(), [&](char a, char b) { return a == upper(b); });
}

bool IsAnySpelling(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return IsSpelling(text, word); });
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view WithoutSign(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text;
}

// [0-9]+(\.[0-9]*)?|\.[0-9]+ with an optional exponent.
bool IsDecimalFloat(std::string_view text) {
  std::size_t i = 0;
  std::size_t digits = 0;
  for (; i < text.size() && IsDigit(text[i]); ++i) ++digits;
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && IsDigit(text[i]); ++i) ++digits;
  }
  if (digits == 0) return false;
  if (i == text.size()) return true;
  if (text[i] != 'e' && text[i] != 'E') return false;
  const std::string_view exponent = WithoutSign(text.substr(i + 1));
  return !exponent.empty() && std::all_of(exponent.begin(), exponent.end(), IsDigit);
}

}  // namespace

ScalarType TypeOf(const YamlNode& scalar) {
  if (scalar.quoted) return ScalarType::kString;
  if (ParseBool(scalar.scalar)) return ScalarType::kBool;
  if (ParseInteger(scalar.scalar)) return ScalarType::kInteger;
  if (ParseFloat(scalar.scalar)) return ScalarType::kFloat;
  return ScalarType::kString;
}

bool IsNullText(std::string_view text) { return text.empty() || text == "~" || IsSpelling(text, "null"); }

std::optional<bool> ParseBool(std::string_view text) {
  if (IsAnySpelling(text, {"true", "yes", "on", "y"})) return true;
  if (IsAnySpelling(text, {"false", "no", "off", "n"})) return false;
  return std::nullopt;
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::string digits(WithoutSign(text));
  if (digits.empty() || !IsDigit(digits.front())) return std::nullopt;
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  int base = 10;
  if (digits.size() > 1 && digits.front() == '0') {
    const char prefix = static_cast<char>(digits[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
    digits.erase(0, IsDigit(digits[1]) ? 1 : 2);
    if (base == 8 && prefix != 'o' && !IsDigit(prefix)) return std::nullopt;
  }
  if (digits.starts_with('-')) return std::nullopt;
  if (text.front() == '-') digits.insert(digits.begin(), '-');
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> ParsePlainDecimal(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), IsDigit)) return std::nullopt;
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return ParseInteger(text);
}

std::optional<double> ParseFloat(std::string_view text) {
  const std::string_view magnitude = WithoutSign(text);
  const double sign = text.starts_with('-') ? -1 : 1;
  if (magnitude == ".inf" || magnitude == ".Inf" || magnitude == ".INF") {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return std::numeric_limits<double>::quiet_NaN();
  std::string digits(magnitude);
  if (!text.starts_with('.')) digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  if (!IsDecimalFloat(digits)) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return sign * value;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

}  // namespace sluice::policy
