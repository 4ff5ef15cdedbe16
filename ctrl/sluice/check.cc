// `check`: finds all that `apply` would refuse, offline.
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/resources/offline_snapshot.h"
#include "ctrl/sluice/offline.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

StatusOr<ExitCode> Check(const ResourceArgs& args) {
  SL_ASSIGN_OR_RETURN(const auto files, InFiles(ReadAll(args)));
  OfflineResources read = ReadOffline(files, args);
  for (const std::string& notice : read.notices) Tell(notice);
  if (const auto snapshot = resources::SnapshotOf(read.resources); !snapshot.ok()) {
    read.problems.push_back(Printable(Message(snapshot.status())));
  }
  std::string text;
  for (const std::string& problem : read.problems) text += problem + "\n";
  if (text.empty())
    text = fmt::format("{} objects in {} files: all right\n", read.resources.size() + read.detection_policies,
                       files.size());
  SL_RETURN_IF_ERROR(WriteOut(text));
  return read.problems.empty() ? ExitCode::kDone : ExitCode::kFailed;
}

}  // namespace

void AddCheck(CLI::App& app, CommandLine& line) {
  const auto args = std::make_shared<ResourceArgs>();
  CLI::App* verb = app.add_subcommand(
      "check", "find what apply would refuse: offline, all errors at once, a line each. Exit 0: no errors, 1: errors");
  verb->alias("validate");
  AddResourceArgs(*verb, *args)->required();
  verb->callback([&line, args] {
    line.run = [&line, args] {
      if (args->default_namespace.empty()) args->default_namespace = line.ns;
      return Check(*args);
    };
  });
}

}  // namespace sluice::client
