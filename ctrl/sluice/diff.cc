// `diff`: what `apply` would change, as a unified diff of YAML.
#include "api/kinds.h"
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/find_resource.h"
#include "ctrl/sluice/resource_args.h"
#include "ctrl/sluice/run_program.h"
#include "ctrl/sluice/temporary_files.h"
#include "ctrl/sluice/terminal.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct InForce {
  std::string yaml;   // empty: there is none
  std::string label;  // for the diff's first line
};

StatusOr<InForce> FindInForce(Client& client, const policy::ResourceId& id) {
  const auto found = FindResources(client, std::string(api::KindArgument(id.kind)), id.name);
  if (absl::IsNotFound(found.status())) return InForce{"", id.ToString() + " (not there)"};
  if (!found.ok()) return found.status();
  const v1::Origin origin = found->front().origin();
  return InForce{found->front().yaml(),
                 id.ToString() + (origin == v1::DIRECTORY    ? " (in force, from the resources directory)"
                                  : origin == v1::KUBERNETES ? " (in force, from Kubernetes)"
                                                             : " (in force)")};
}

Status Show(const TemporaryFiles& files, const InForce& before, const policy::Resource& after,
            const std::string& origin) {
  SL_ASSIGN_OR_RETURN(const std::string from, files.Write("in-force.yaml", PrintableLines(before.yaml)));
  SL_ASSIGN_OR_RETURN(const std::string to, files.Write("file.yaml", PrintableLines(after.yaml)));
  std::vector<std::string> command = {"diff", "-u", "--label", Printable(before.label), "--label", Printable(origin)};
  if (OutputTakesColor()) command.emplace_back("--color=always");
  command.insert(command.end(), {from, to});
  SL_ASSIGN_OR_RETURN(const int code, RunInTerminal(command));
  if (code <= 1) return OkStatus();
  return MakeError(absl::StatusCode::kInternal, "diff: it failed with {}; is diffutils installed?", code);
}

StatusOr<bool> Compare(const AgentAddress& server, const ResourceArgs& args) {
  SL_ASSIGN_OR_RETURN(const auto read, ReadAll(args));
  SL_ASSIGN_OR_RETURN(const TemporaryFiles files, TemporaryFiles::Make());
  const policy::GatheredTexts gathered = policy::Gather(resources::TextsOf(read), ParseOptionsOf(args));
  SL_RETURN_IF_ERROR(gathered.FirstError());
  for (const std::string& notice : gathered.notices) Tell(notice);
  Client client(server);
  bool differs = false;
  for (std::size_t i = 0; i < gathered.resources.size(); ++i) {
    const policy::Resource& document = gathered.resources[i];
    SL_ASSIGN_OR_RETURN(const InForce before, FindInForce(client, document.id));
    if (before.yaml == document.yaml) continue;
    differs = true;
    SL_RETURN_IF_ERROR(Show(files, before, document, gathered.origins[i]));
  }
  return differs;
}

// As of diff and kubectl: 1 is no failure.
StatusOr<ExitCode> Diff(const AgentAddress& server, const ResourceArgs& args) {
  const StatusOr<bool> differs = Compare(server, args);
  if (differs.ok()) return *differs ? ExitCode::kFailed : ExitCode::kDone;
  Finish(differs.status());
  return ExitCode::kUsage;
}

}  // namespace

void AddDiff(CLI::App& app, CommandLine& line) {
  const auto args = std::make_shared<ResourceArgs>();
  CLI::App* verb = app.add_subcommand(
      "diff",
      "what would apply change? What is in force against the files. Exit 0: nothing, 1: something, 2: an error");
  AddResourceArgs(*verb, *args)->required();
  verb->callback([&line, args] {
    line.run = [&line, args] {
      if (args->default_namespace.empty()) args->default_namespace = line.ns;
      return Diff(line.server, *args);
    };
  });
}

}  // namespace sluice::client
