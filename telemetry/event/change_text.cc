#include "telemetry/event/change_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace sluice::telemetry {
namespace {

constexpr int kNamed = 10;

std::string OneText(const v1::ResourceChange& change) {
  const v1::ResourceRef& ref = change.resource();
  std::string word;
  if (change.change() != v1::ResourceChange::CHANGE_UNSPECIFIED) {
    word = v1::ResourceChange::Change_Name(change.change()) + " ";
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  }
  return fmt::format("{}{} {}{}{}", word, ref.kind(), ref.namespace_(), ref.namespace_().empty() ? "" : "/",
                     ref.name());
}

std::string SummaryText(const v1::Change& change) {
  std::string text;
  const int named = std::min(change.changes_size(), kNamed);
  for (int i = 0; i < named; ++i) text += (text.empty() ? "" : ", ") + OneText(change.changes(i));
  const auto more = static_cast<std::size_t>(change.changes_size() - named) + change.more_changes();
  return more == 0 ? text : fmt::format("{} and {} more", text, more);
}

}  // namespace

std::string ChangeText(const v1::Change& change) {
  const std::string caller = change.caller().empty() ? "" : change.caller() + ": ";
  const std::string what = SummaryText(change);
  const std::string outcome =
      change.problem().empty() ? fmt::format("revision {}", change.revision()) : "refused: " + change.problem();
  return fmt::format("{}{}: {}{}{}", caller, change.action(), what, what.empty() ? "" : "; ", outcome);
}

}  // namespace sluice::telemetry
