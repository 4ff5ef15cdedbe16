// Tetragon's service of an agent without a kernel, and clients with any user and group.
#pragma once

#include "ctrl/tetra/service.h"
#include "policy/resource/parser.h"
#include "policy/tracing/parser.h"
#include "tests/unit/api_server/server_world.h"

namespace sluice::tetra {

class TetraFixture : public api::ServerFixture {
 protected:
  using Stub = tetragon::FineGuidanceSensors::Stub;
  using Code = grpc::StatusCode;

  ~TetraFixture() override {
    telemetry_.Stop();
    server_.reset();
  }
  void Serve(api::ServerOptions options = {}) {
    ASSERT_TRUE(controller_.Restore({}, {}).ok());
    options.address = "unix://" + socket();
    tetra_ = std::make_unique<Service>(ServiceSources{.controller = &controller_,
                                                      .telemetry = &telemetry_,
                                                      .hooks = &hooks_,
                                                      .node = "node-1",
                                                      .version = "1.2.3",
                                                      .features = {{"lsm", false}, {"large", true}}});
    auto server = api::Server::Start(options, tetra_->served());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<Stub> Client(const api::User& user = {}) const {
    return tetragon::FineGuidanceSensors::NewStub(ChannelOf(user));
  }

  // Calls a method with a reply.
  template <typename Request, typename Reply>
  static grpc::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                           const Request& request, Reply* reply) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return (stub.*method)(&context, request, reply);
  }
  static grpc::Status Add(Stub& stub, const std::string& yaml, const std::string& domain = "") {
    tetragon::AddTracingPolicyRequest request;
    tetragon::AddTracingPolicyResponse reply;
    request.set_yaml(yaml);
    request.set_domain(domain);
    return Call(stub, &Stub::AddTracingPolicy, request, &reply);
  }
  static grpc::Status Delete(Stub& stub, const std::string& name, const std::string& ns = "",
                             const std::string& domain = "") {
    tetragon::DeleteTracingPolicyRequest request;
    tetragon::DeleteTracingPolicyResponse reply;
    request.set_name(name);
    request.set_namespace_(ns);
    request.set_domain(domain);
    return Call(stub, &Stub::DeleteTracingPolicy, request, &reply);
  }
  static grpc::Status Configure(Stub& stub, const std::string& name, std::optional<bool> enable,
                                std::optional<tetragon::TracingPolicyMode> mode = {}) {
    tetragon::ConfigureTracingPolicyRequest request;
    tetragon::ConfigureTracingPolicyResponse reply;
    request.set_name(name);
    if (enable) request.set_enable(*enable);
    if (mode) request.set_mode(*mode);
    return Call(stub, &Stub::ConfigureTracingPolicy, request, &reply);
  }
  static std::vector<tetragon::TracingPolicyStatus> List(Stub& stub, const std::string& domain = "") {
    tetragon::ListTracingPoliciesRequest request;
    tetragon::ListTracingPoliciesResponse reply;
    request.set_domain(domain);
    const grpc::Status status = Call(stub, &Stub::ListTracingPolicies, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {reply.policies().begin(), reply.policies().end()};
  }

  static policy::ResourceMap Map(const std::string& yaml) {
    const auto parsed = policy::ParseResources(
        "f.yaml", yaml, {.more_kinds = policy::tracing::KindParsers(policy::tracing::Reading::kParsed)});
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    policy::ResourceMap map;
    if (parsed.ok()) {
      for (const policy::Resource& resource : *parsed) map[resource.id] = resource;
    }
    return map;
  }

  std::unique_ptr<Service> tetra_;
};

}  // namespace sluice::tetra
