#include "ctrl/sluice/changes_text.h"

#include <fmt/format.h>

#include "base/printable.h"

namespace sluice::client {
namespace {

const char* ChangeWord(v1::ResourceChange::Change change) {
  switch (change) {
    case v1::ResourceChange::CREATED:
      return "created";
    case v1::ResourceChange::REPLACED:
      return "replaced";
    case v1::ResourceChange::UNCHANGED:
      return "unchanged";
    case v1::ResourceChange::REMOVED:
      return "removed";
    default:
      return "changed";
  }
}

}  // namespace

std::string ChangesText(const ResourceChanges& changes, std::uint64_t revision) {
  std::string text;
  for (const v1::ResourceChange& change : changes) {
    const v1::ResourceRef& ref = change.resource();
    const std::string name = ref.namespace_() + (ref.namespace_().empty() ? "" : "/") + ref.name();
    text += Printable(fmt::format("{} {} {}", ref.kind(), name, ChangeWord(change.change()))) + "\n";
  }
  return text + fmt::format("policy revision {}\n", revision);
}

}  // namespace sluice::client
