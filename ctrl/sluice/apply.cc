// `apply` and `delete`: changes of the resources, each call one step.
#include "base/output.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/resource_args.h"
#include "ctrl/sluice/verb.h"
#include "policy/resource/yaml.h"
#include "telemetry/event/flow_text.h"

namespace sluice::client {
namespace {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

struct DeleteOptions {
  ResourceArgs files;
  std::string kind;
  std::vector<std::string> names;
};

Status FillDocuments(const ResourceArgs& args, Documents* documents, v1::ReadOptions* read) {
  SL_ASSIGN_OR_RETURN(auto files, ReadAll(args));
  for (resources::ResourceFile& file : files) {
    // A message holds nothing else.
    SL_RETURN_IF_ERROR(policy::CheckCharacters("file name", file.path));
    SL_RETURN_IF_ERROR(policy::CheckCharacters(file.path, file.text));
    v1::Document& document = *documents->Add();
    document.set_origin(std::move(file.path));
    document.set_yaml(std::move(file.text));
  }
  read->set_default_namespace(args.default_namespace);
  read->set_skip_unknown(args.skip_unknown);
  return OkStatus();
}

StatusOr<ExitCode> Apply(const AgentAddress& server, const ResourceArgs& args) {
  v1::ApplyRequest request;
  SL_RETURN_IF_ERROR(InFiles(FillDocuments(args, request.mutable_documents(), request.mutable_read())));
  const auto reply = Client(server).Apply(request);
  if (!reply.ok()) return InFiles(reply.status());
  for (const std::string& notice : reply->notices()) Tell(notice);
  for (const v1::ProgramLink& link : reply->links()) {
    Tell("sluice: warning: " + telemetry::LinkText(link));
  }
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision())));
  return ExitCode::kDone;
}

StatusOr<ExitCode> Delete(const AgentAddress& server, const DeleteOptions& options) {
  if (options.files.paths.empty() == options.kind.empty()) {
    return InvalidError("delete: give either -f FILE or KIND NAME");
  }
  if (options.names.empty() && !options.kind.empty()) {
    return InvalidError("delete {}: the name is missing: delete KIND NAME", options.kind);
  }
  v1::DeleteRequest request;
  if (options.kind.empty()) {
    SL_RETURN_IF_ERROR(InFiles(FillDocuments(options.files, request.mutable_documents(), request.mutable_read())));
  } else {
    for (const std::string& name : options.names) {
      v1::DeleteRequest::Target& target = *request.add_targets();
      target.set_kind(options.kind);
      target.set_namespace_(options.files.default_namespace);
      target.set_name(name);
    }
  }
  const auto reply = Client(server).Delete(request);
  if (!reply.ok()) return options.kind.empty() ? InFiles(reply.status()) : reply.status();
  for (const std::string& notice : reply->notices()) Tell(notice);
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision())));
  return ExitCode::kDone;
}

}  // namespace

void AddApply(CLI::App& app, CommandLine& line) {
  const auto args = std::make_shared<ResourceArgs>();
  CLI::App* verb = app.add_subcommand("apply", "create or replace resources; all of one call take effect as one step");
  AddResourceArgs(*verb, *args)->required();
  const auto wait = std::make_shared<bool>(true);
  verb->add_flag("--wait,!--no-wait", *wait,
                 "without effect: the agent answers when the kernel enforces the change, never before");
  verb->callback([&line, args, wait] { line.run = [&line, args] { return Apply(line.server, *args); }; });
}

void AddDelete(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* verb = app.add_subcommand("delete", "remove resources, by files or by name; one call is one step");
  AddResourceArgs(*verb, options->files, "; removes what they contain");
  verb->add_option("kind", options->kind, "workload, pod, namespace or networkpolicy");
  verb->add_option("name", options->names, "one or more names");
  verb->callback([&line, options] { line.run = [&line, options] { return Delete(line.server, *options); }; });
}

}  // namespace sluice::client
