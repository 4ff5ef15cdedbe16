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

// A note if another source has a document of the same name.
const char* OtherSourceText(const v1::ResourceChange& change) {
  if (change.shadows()) return "; it counts instead of another source's (resources directory, Kubernetes)";
  if (change.change() != v1::ResourceChange::REMOVED) return "";
  if (change.in_force() == v1::DIRECTORY) return "; the one in the resources directory is in force now";
  return change.in_force() == v1::KUBERNETES ? "; the one in Kubernetes is in force now" : "";
}

}  // namespace

std::string ChangesText(const ResourceChanges& changes, std::uint64_t revision, bool dry_run) {
  std::string text;
  for (const v1::ResourceChange& change : changes) {
    const v1::ResourceRef& ref = change.resource();
    const std::string name = ref.namespace_() + (ref.namespace_().empty() ? "" : "/") + ref.name();
    text += Printable(fmt::format("{} {} {}{}{}", ref.kind(), name, ChangeWord(change.change()),
                                  dry_run ? " (dry run)" : "", OtherSourceText(change))) +
            "\n";
  }
  return text + (dry_run ? "dry run: nothing was changed\n" : fmt::format("policy revision {}\n", revision));
}

}  // namespace sluice::client
