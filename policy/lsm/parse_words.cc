// Keys and small values that many fields have.
#include <algorithm>
#include <array>

#include "policy/lsm/limits.h"
#include "policy/lsm/parse_parts.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::array<std::string_view, 7> kSections = {"process",  "file",    "network", "capabilities",
                                                       "syscalls", "presets", "selector"};

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::string UnknownKey(const Field& map, const std::vector<std::string>& known, const std::string& key) {
  if (map.path() != "spec" && std::find(kSections.begin(), kSections.end(), key) != kSections.end()) {
    return "unknown field: it belongs to spec, so it must be indented like the other sections";
  }
  const std::size_t farthest = key.size() < 5 ? 1 : 2;  // short words are near to many
  if (const std::string near = Nearest(known, key, farthest); !near.empty()) {
    return fmt::format("unknown field: did you mean {}?", near);
  }
  std::string all;
  for (const std::string& word : known) all += (all.empty() ? "" : ", ") + word;
  return "unknown field: known are " + all;
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }

// What paths and directories have in common.
Status CheckPathText(const Field& field, std::string_view text) {
  if (!text.starts_with('/'))
    return field.Error(fmt::format("{} is not absolute: it must begin with \"/\"", Quoted(text)));
  if (text != "/" && !HasPlainComponents(text.ends_with('/') ? text.substr(0, text.size() - 1) : text)) {
    return field.Error(
        fmt::format("{} has a component that is empty, \".\" or \"..\": the kernel knows no such path", Quoted(text)));
  }
  if (text.find_first_of("*?") != std::string_view::npos) {
    SL_RETURN_IF_ERROR(ErrorUnlessLenient(
        field, fmt::format("{} is compared as it is: write it as a pattern, in matchPatterns", Quoted(text))));
  }
  if (text.find(' ') != std::string_view::npos) field.Warn("has a space: paths are compared, and no command lines");
  return OkStatus();
}

}  // namespace

Status ErrorUnlessLenient(const Field& field, std::string_view what) {
  if (!field.document().lenient) return field.Error(what);
  field.Warn(what);
  return OkStatus();
}

Status CheckKeys(const Field& field, std::string_view known) {
  const std::vector<std::string> words = WordsOf(known);
  return field.ForEachEntry([&](const std::string& key, const Field& value) -> Status {
    if (std::find(words.begin(), words.end(), key) != words.end()) return OkStatus();
    return ErrorUnlessLenient(value, UnknownKey(field, words, key));
  });
}

Status RefuseKeys(const Field& field, const std::map<std::string_view, std::string_view>& reasons) {
  Status first = OkStatus();
  for (const auto& [key, reason] : reasons) {
    if (const auto value = field.Get(key)) first.Update(value->Error(fmt::format("refused: {}", reason)));
  }
  return first;
}

StatusOr<std::string> ParseBounded(const Field& field, std::size_t limit) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (text.empty()) return field.Error("is empty");
  if (text.size() > limit) return field.Error(fmt::format("{} bytes: at most {} are possible", text.size(), limit));
  if (std::any_of(text.begin(), text.end(), IsControl)) {
    return field.Error(fmt::format("{} has control characters", Quoted(text)));
  }
  return text;
}

StatusOr<bool> ParseFlag(const Field& field) { return field.Bool(); }

StatusOr<std::string> ParsePath(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxPathBytes));
  SL_RETURN_IF_ERROR(CheckPathText(field, text));
  if (text.ends_with('/')) {
    return field.Error(fmt::format("{} is a directory: write it as dir, in matchDirectories", Quoted(text)));
  }
  return text;
}

StatusOr<std::string> ParseDirectory(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxPathBytes));
  SL_RETURN_IF_ERROR(CheckPathText(field, text));
  if (text.ends_with('/')) return text;
  SL_RETURN_IF_ERROR(ErrorUnlessLenient(field, fmt::format("must end with \"/\": write {}", Quoted(text + "/"))));
  return text + "/";
}

}  // namespace sluice::policy::lsm
