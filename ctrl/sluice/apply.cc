// `apply`: creates or replaces resources, each call one step.
#include "base/output.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/documents.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/flow_text.h"

namespace sluice::client {
namespace {

struct ApplyOptions {
  ResourceArgs files;
  bool dry_run = false;
};

StatusOr<ExitCode> Apply(const AgentAddress& server, const ApplyOptions& options) {
  v1::ApplyRequest request;
  SL_RETURN_IF_ERROR(InFiles(FillDocuments(options.files, request.mutable_documents(), request.mutable_read())));
  request.set_dry_run(options.dry_run);
  const auto reply = Client(server).Apply(request);
  if (!reply.ok()) return InFiles(reply.status());
  for (const std::string& notice : reply->notices()) Tell(notice);
  for (const v1::ProgramLink& link : reply->links()) {
    Tell("sluice: warning: " + telemetry::LinkText(link));
  }
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision(), options.dry_run)));
  return ExitCode::kDone;
}

}  // namespace

void AddApply(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ApplyOptions>();
  CLI::App* verb = app.add_subcommand("apply", "create or replace resources; all of one call take effect as one step");
  AddResourceArgs(*verb, options->files)->required();
  const auto wait = std::make_shared<bool>(true);
  verb->add_flag("--wait,!--no-wait", *wait,
                 "no effect: the agent always answers only when the kernel enforces the change");
  verb->add_flag("--dry-run", options->dry_run,
                 "the agent compiles and checks everything, says what it would do, and changes nothing");
  verb->callback([&line, options, wait] {
    line.run = [&line, options] {
      if (options->files.default_namespace.empty()) options->files.default_namespace = line.ns;
      return Apply(line.server, *options);
    };
  });
}

}  // namespace sluice::client
