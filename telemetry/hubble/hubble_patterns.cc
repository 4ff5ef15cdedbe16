#include "telemetry/hubble/hubble_patterns.h"

#include <absl/strings/ascii.h>

namespace sluice::telemetry {
namespace {

constexpr char kAnyName[] = "[-0-9_a-z]+(?:\\.[-0-9_a-z]+)*";
constexpr std::int64_t kMaxProgramBytes = 1 << 20;

StatusOr<HubblePattern> Compiled(const std::string& expression, const std::string& text) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kMaxProgramBytes);
  auto pattern = std::make_shared<const re2::RE2>(expression, options);
  if (!pattern->ok()) return InvalidError("{}: {}", text, pattern->error());
  return pattern;
}

StatusOr<std::string> NameExpression(const std::string& text) {
  std::string name(absl::StripAsciiWhitespace(absl::AsciiStrToLower(text)));
  if (name.ends_with('.')) name.pop_back();
  if (name.empty()) return InvalidError("\"{}\": the pattern is empty", text);
  if (name.ends_with('.')) return InvalidError("{}: more than one dot at the end", text);
  std::string expression;
  for (const char c : name) {
    if (c == '*') {
      expression += "[-.0-9a-z]*";
    } else if (c == '.') {
      expression += "\\.";
    } else if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
      expression += c;
    } else {
      return InvalidError("{}: a pattern of names has only letters, digits, -, _, . and *", text);
    }
  }
  return expression;
}

StatusOr<std::string> PartExpression(const std::string& text) {
  if (text.empty()) return std::string(kAnyName);
  return NameExpression(text);
}

}  // namespace

StatusOr<HubblePattern> MakeNamePattern(const std::string& text) {
  SL_ASSIGN_OR_RETURN(const std::string name, NameExpression(text));
  return Compiled("\\A(?:" + name + ")\\z", text);
}

StatusOr<HubblePattern> MakeNodePattern(const std::string& text) {
  if (text.empty()) return InvalidError("\"\": the pattern is empty");
  const std::size_t slash = text.find('/');
  if (slash != std::string::npos && text.find('/', slash + 1) != std::string::npos) {
    return InvalidError("{}: expected node, or cluster/node", text);
  }
  const bool has_cluster = slash != std::string::npos;
  SL_ASSIGN_OR_RETURN(const std::string cluster, PartExpression(has_cluster ? text.substr(0, slash) : ""));
  SL_ASSIGN_OR_RETURN(const std::string node, PartExpression(has_cluster ? text.substr(slash + 1) : text));
  return Compiled("\\A(?:" + cluster + ")/(?:" + node + ")\\z", text);
}

StatusOr<HubblePattern> MakeRegularExpression(const std::string& text) { return Compiled(text, text); }

}  // namespace sluice::telemetry
