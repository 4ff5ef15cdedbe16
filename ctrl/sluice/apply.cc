// `apply` and `delete`: changes of the resources, each call one step.
#include <unistd.h>

#include <cstdio>

#include "ctrl/base/output.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/verb.h"
#include "ctrl/workload/resource_directory.h"
#include "policy/yaml.h"
#include "telemetry/flow_text.h"

namespace sluice::client {
namespace {

using Documents = google::protobuf::RepeatedPtrField<v1::Document>;

constexpr const char* kFilesHelp =
    "file, directory of *.yaml, *.yml and *.json files, or - for standard input; several may be given";

struct DeleteOptions {
  std::vector<std::string> files;
  std::string kind;
  std::vector<std::string> names;
  std::string ns;
};

Status AppendDocuments(const std::string& path, Documents* documents) {
  std::vector<workload::ResourceFile> files;
  if (path == "-") {
    SL_ASSIGN_OR_RETURN(std::string text, workload::ReadResourceText(STDIN_FILENO, "stdin"));
    files.push_back({"stdin", std::move(text)});
  } else {
    SL_ASSIGN_OR_RETURN(files, workload::ReadResourceFiles(path));
    if (files.empty()) {
      return MakeError(absl::StatusCode::kNotFound, "{}: no *.yaml, *.yml or *.json file in this directory", path);
    }
  }
  for (workload::ResourceFile& file : files) {
    // A message holds nothing else.
    SL_RETURN_IF_ERROR(policy::CheckCharacters("file name", file.path));
    SL_RETURN_IF_ERROR(policy::CheckCharacters(file.path, file.text));
    v1::Document& document = *documents->Add();
    document.set_origin(std::move(file.path));
    document.set_yaml(std::move(file.text));
  }
  return OkStatus();
}

Status AppendAll(const std::vector<std::string>& paths, Documents* documents) {
  for (const std::string& path : paths) SL_RETURN_IF_ERROR(AppendDocuments(path, documents));
  return OkStatus();
}

StatusOr<ExitCode> Apply(const AgentAddress& server, const std::vector<std::string>& paths) {
  v1::ApplyRequest request;
  SL_RETURN_IF_ERROR(InFiles(AppendAll(paths, request.mutable_documents())));
  const auto reply = Client(server).Apply(request);
  if (!reply.ok()) return InFiles(reply.status());
  for (const v1::ProgramLink& link : reply->links()) {
    std::fputs(("sluice: warning: " + telemetry::LinkText(link) + "\n").c_str(), stderr);
  }
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision())));
  return ExitCode::kDone;
}

StatusOr<ExitCode> Delete(const AgentAddress& server, const DeleteOptions& options) {
  if (options.files.empty() == options.kind.empty()) return InvalidError("delete: give either -f FILE or KIND NAME");
  if (options.names.empty() && !options.kind.empty()) {
    return InvalidError("delete {}: the name is missing: delete KIND NAME", options.kind);
  }
  v1::DeleteRequest request;
  if (options.kind.empty()) {
    SL_RETURN_IF_ERROR(InFiles(AppendAll(options.files, request.mutable_documents())));
  } else {
    for (const std::string& name : options.names) {
      v1::DeleteRequest::Target& target = *request.add_targets();
      target.set_kind(options.kind);
      target.set_namespace_(options.ns);
      target.set_name(name);
    }
  }
  const auto reply = Client(server).Delete(request);
  if (!reply.ok()) return options.kind.empty() ? InFiles(reply.status()) : reply.status();
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision())));
  return ExitCode::kDone;
}

}  // namespace

void AddApply(CLI::App& app, CommandLine& line) {
  const auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App* verb = app.add_subcommand("apply", "create or replace resources; all of one call take effect as one step");
  verb->add_option("-f,--filename", *paths, kFilesHelp)->required();
  const auto wait = std::make_shared<bool>(true);
  verb->add_flag("--wait,!--no-wait", *wait,
                 "without effect: the agent answers when the kernel enforces the change, never before");
  verb->callback([&line, paths, wait] { line.run = [&line, paths] { return Apply(line.server, *paths); }; });
}

void AddDelete(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* verb = app.add_subcommand("delete", "remove resources, by files or by name; one call is one step");
  verb->add_option("-f,--filename", options->files, std::string(kFilesHelp) + "; removes what they contain");
  verb->add_option("kind", options->kind, "workload, pod, namespace or networkpolicy");
  verb->add_option("name", options->names, "one or more names");
  verb->add_option("-n,--namespace", options->ns, "namespace of the names; default: \"default\"");
  verb->callback([&line, options] { line.run = [&line, options] { return Delete(line.server, *options); }; });
}

}  // namespace sluice::client
