// Small values that many fields have.
#include <algorithm>

#include "policy/resource/resource_common.h"
#include "policy/resource/resource_syntax.h"
#include "policy/tracing/limits.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

constexpr std::string_view kListPrefix = "list:";

bool IsWordCharacter(char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; }

bool IsSymbolCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
}

StatusOr<std::string> ParseBounded(const Field& field, std::size_t limit) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (text.empty()) return field.Error("is empty");
  if (text.size() > limit) return field.Error(fmt::format("{} bytes: at most {} are possible", text.size(), limit));
  return text;
}

}  // namespace

const List* PolicyParts::FindList(std::string_view name) const { return FindName(lists, name); }

StatusOr<const List*> FindListAt(const Field& field, std::string_view name, const PolicyParts& policy) {
  const List* list = policy.FindList(name);
  if (list != nullptr) return list;
  return field.Error(fmt::format("spec.lists has no list {}: add it, or correct the name", Quoted(name)));
}

std::optional<std::string_view> ListReference(std::string_view text) {
  if (!text.starts_with(kListPrefix)) return std::nullopt;
  return text.substr(kListPrefix.size());
}

StatusOr<std::string> ParseWord(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxNameBytes));
  if (!std::all_of(text.begin(), text.end(), IsWordCharacter)) {
    return field.Error(fmt::format("{} has spaces or control characters", Quoted(text)));
  }
  return text;
}

StatusOr<std::string> ParseSymbol(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxNameBytes));
  const bool digit = text.front() >= '0' && text.front() <= '9';
  if (digit || !std::all_of(text.begin(), text.end(), IsSymbolCharacter)) {
    return field.Error(
        fmt::format("{} is not a name of a function: letters, digits, \"_\" and \".\" are possible, and "
                    "no digit first",
                    Quoted(text)));
  }
  return text;
}

StatusOr<std::string> ParsePathName(const Field& field) { return ParseChecked(field, CheckAbsolutePath); }

StatusOr<std::string> ParseLabel(const Field& field) { return ParseBounded(field, kMaxLabelBytes); }

StatusOr<bool> ParseFlag(const Field& field) { return field.Bool(); }

}  // namespace sluice::policy::tracing
