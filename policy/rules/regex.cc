#include "policy/rules/regex.h"

#include <re2/re2.h>

#include "policy/rules/text_match.h"

namespace sluice::policy::rules {
namespace {

constexpr std::int64_t kMaxRegexMemory = 4 << 20;

bool IsAscii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

}  // namespace

Regex::Regex(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Regex::~Regex() = default;

StatusOr<std::shared_ptr<const Regex>> Regex::Parse(const std::string& pattern) {
  re2::RE2::Options options(re2::RE2::POSIX);
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  auto compiled = std::make_unique<re2::RE2>(pattern, options);
  if (!compiled->ok()) return InvalidError("{}", compiled->error());
  return std::shared_ptr<const Regex>(new Regex(std::move(compiled)));
}

bool Regex::Matches(std::string_view text) const {
  const auto matches = [&](std::string_view valid) {
    return re2::RE2::FullMatch(re2::StringPiece(valid.data(), valid.size()), *compiled_);
  };
  return IsAscii(text) ? matches(text) : matches(ValidUtf8(text));
}

}  // namespace sluice::policy::rules
