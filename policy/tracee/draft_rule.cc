#include "policy/tracee/draft_rule.h"

#include "policy/rules/loader.h"

namespace sluice::policy::tracee {
namespace {

std::string YamlQuoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

}  // namespace

StatusOr<std::vector<rules::Rule>> CompileDrafts(const std::string& file, const std::vector<DraftRule>& drafts) {
  std::string text;
  for (const DraftRule& draft : drafts) {
    text += fmt::format("- rule: {}\n  desc: {}\n  condition: {}\n  output: {}\n  priority: {}\n",
                        YamlQuoted(draft.name), YamlQuoted(draft.description), YamlQuoted(draft.condition),
                        YamlQuoted(draft.output), draft.priority);
    text += "  warn_evttypes: false\n  tags: [tracee";
    for (const std::string& tag : draft.tags) text += ", " + YamlQuoted(tag);
    text += "]\n";
  }
  rules::Loader loader;
  const rules::LoadResult loaded = loader.Load(file, text);
  if (!loaded.ok()) return InvalidError("cannot be compiled: {}", loaded.errors.front().what);
  std::vector<rules::Rule> all = loader.rules();
  if (all.size() != drafts.size()) return InvalidError("cannot be compiled: two rules have one name");
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].file = file;
    all[i].place = drafts[i].place;
  }
  return all;
}

}  // namespace sluice::policy::tracee
