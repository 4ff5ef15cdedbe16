#include "ctrl/relay/options.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "ctrl/api/listener.h"

namespace sluice::cluster {
namespace {

// Empty: it is one.
std::string AgentProblem(const std::string& text) {
  const auto node = ParseNodeAddress(text);
  return node.ok() ? "" : Message(node.status());
}

void AddListening(CLI::App& app, RelayOptions* options) {
  app.add_option("--listen", options->listen.address,
                 "gRPC address for clients: unix:///PATH, or IP:PORT with the three TLS files");
  app.add_option("--listen-read-group", options->listen.read_group,
                 "unix socket: members of this group may read, as root may; others are refused");
  app.add_option("--listen-tls-cert", options->listen.tls.certificate,
                 "TCP: PEM file of the relay's certificate for its clients; the three files are read again when they "
                 "change");
  app.add_option("--listen-tls-key", options->listen.tls.key, "TCP: PEM file of its key");
  app.add_option("--listen-tls-ca", options->listen.tls.ca, "TCP: PEM file of the CAs of the clients' certificates");
  app.add_option("--metrics", options->metrics, "address of /metrics, /healthz and /readyz; empty: not served");
  app.add_option("--name", options->name, "the relay's name, for its clients");
}

void AddFinding(CLI::App& app, RelayOptions* options, std::vector<std::string>* agents) {
  app.add_option("--agent", *agents,
                 "an agent's API: unix:///PATH, HOST:PORT, or NAME=ADDRESS; without NAME, the node is called as its "
                 "agent says; may be given several times")
      ->check(AgentProblem, "[NAME=]ADDRESS");
  app.add_option("--agents", options->agents_file,
                 "file with an agent in each line, as for --agent; read again when it changes")
      ->check(CLI::ExistingFile);
  app.add_option("--kube", options->kube.kube,
                 "find the agents by the Kubernetes API: in-cluster, or the path of a kubeconfig file");
  app.add_option("--kube-namespace", options->kube.ns,
                 "namespace of the agents' pods; default: the relay's own, or the kubeconfig's");
  app.add_option("--kube-selector", options->kube.selector, "labels of the agents' pods");
  app.add_option("--agent-port", options->kube.port, "with --kube: port of the agents' API (sluiced --relay-api)")
      ->check(CLI::Range(1U, 65535U));
  app.add_option("--agent-tls-cert", options->tls.files.certificate,
                 "agents by TCP: PEM file of the certificate that the relay shows");
  app.add_option("--agent-tls-key", options->tls.files.key, "agents by TCP: PEM file of its key");
  app.add_option("--agent-tls-ca", options->tls.files.ca, "agents by TCP: PEM file of the CAs of their certificates");
  app.add_option("--agent-tls-name", options->tls.name,
                 "agents by TCP: name in every agent's certificate; default: each address's host");
  app.add_option("--max-nodes", options->max_nodes, "nodes that are heard; the others are left out")
      ->check(CLI::Range(1U, 5000U));
}

}  // namespace

int ParseOptions(int argc, char** argv, RelayOptions* options) {
  CLI::App app{"sluice-relay: one view of the agents of all nodes"};
  app.set_config("--config", "", "file with the same options, one `name = value` a line (TOML)");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.option_defaults()->always_capture_default();
  app.set_version_flag("--version", "sluice-relay " SLUICE_VERSION, "show the version, and exit");
  std::vector<std::string> agents;
  AddListening(app, options);
  AddFinding(app, options, &agents);
  app.add_option("--hold", options->hold_ms, "milliseconds for which an event waits for older ones of other nodes")
      ->check(CLI::Range(0U, 10000U));
  app.add_flag("--debug", options->debug, "log more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? 0 : 2;
  }
  for (const std::string& text : agents) options->agents.push_back(ParseNodeAddress(text).value());  // checked
  if (options->listen.address.starts_with('/')) options->listen.address.insert(0, "unix://");
  return -1;
}

Status CheckOptions(const RelayOptions& options) {
  const bool lists = !options.agents.empty() || !options.agents_file.empty();
  if (!lists && options.kube.kube.empty()) {
    return InvalidError("no agents: give --agent, --agents or --kube");
  }
  if (lists && !options.kube.kube.empty()) {
    return InvalidError("--kube finds all agents: give it without --agent and --agents");
  }
  if (!options.tls.files.empty()) {
    if (!options.tls.files.complete()) {
      return InvalidError("--agent-tls-cert, --agent-tls-key and --agent-tls-ca go together");
    }
    SL_RETURN_IF_ERROR(Annotate(api::CheckTls(options.tls.files), "--agent-tls"));
  } else if (!options.kube.kube.empty()) {
    return InvalidError(
        "--kube: agents answer by mutual TLS: give --agent-tls-cert, --agent-tls-key and --agent-tls-ca");
  }
  for (const NodeAddress& agent : options.agents) SL_RETURN_IF_ERROR(Node::Make(agent, options.tls).status());
  if (api::SocketPath(options.listen.address).empty() && !options.listen.read_group.empty()) {
    return InvalidError("--listen-read-group is for a unix socket; by TCP, every client with a certificate may read");
  }
  return api::Server::Check(options.listen);
}

}  // namespace sluice::cluster
