// The API's server with an agent without a kernel, and callers with any user and group.
//   ASSERT_TRUE(Start({.change_group = "54321"}).ok());
//   EXPECT_EQ(Ask(*As({.uid = 1000, .gid = 54321})), grpc::StatusCode::OK);
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include "ctrl/api/server.h"
#include "ctrl/api/service.h"
#include "tests/support/fake_datapath.h"
#include "tests/support/fake_hooks.h"

namespace sluice::api {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // besides `gid`
};

// The log, from any thread.
class LogText : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    text_.append(line.data(), line.size());
  }
  void flush_() override {}

  std::string text_;
};

class ServerFixture : public ::testing::Test {
 protected:
  ServerFixture() : controller_(&datapath_, Node(), Save, &hooks_), telemetry_(TelemetryOptions(), TelemetrySources()) {
    std::string name = "/tmp/sluice-api-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    std::filesystem::permissions(name, std::filesystem::perms(0755));
    directory_ = name;
    logged_ = std::make_shared<spdlog::logger>("test", log_);
    logged_->set_pattern("%l %v");
    logged_->flush_on(spdlog::level::trace);
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(logged_);
  }
  ~ServerFixture() override {
    telemetry_.Stop();
    server_.reset();
    spdlog::set_default_logger(before_);
    std::filesystem::remove_all(directory_);
  }

  // Listens on a unix socket unless the options have an address.
  Status Start(ServerOptions options) {
    EXPECT_TRUE(controller_.Restore({}, {}).ok());
    if (options.address.empty()) options.address = "unix://" + socket();
    service_ = std::make_unique<Service>(ServiceSources{.controller = &controller_,
                                                        .telemetry = &telemetry_,
                                                        .datapath = &datapath_,
                                                        .hooks = &hooks_,
                                                        .constants = {}});
    SL_ASSIGN_OR_RETURN(server_, Server::Start(options, service_->served()));
    return OkStatus();
  }

  std::string socket() const { return directory_ + "/api.sock"; }
  std::string log() const { return log_->text(); }

  // A connected socket of this user; when invalid, errno has the error. Changes the thread's rights, not the process's.
  Fd Connect(const User& user = {}) const {
    Fd connected;
    int failed = 0;
    std::thread([&] {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
      syscall(SYS_setgroups, user.groups.size(), user.groups.data());
      syscall(SYS_setresgid, user.gid, user.gid, user.gid);
      syscall(SYS_setresuid, user.uid, user.uid, user.uid);
      Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const bool ok = connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
      failed = ok ? 0 : errno;
      if (ok) connected = std::move(fd);
    }).join();
    errno = failed;
    return connected;
  }

  std::unique_ptr<v1::Sluice::Stub> As(const User& user) const { return v1::Sluice::NewStub(ChannelOf(user)); }
  std::shared_ptr<grpc::Channel> ChannelOf(const User& user) const {
    const Fd fd = Connect(user);
    EXPECT_TRUE(fd.valid()) << "uid " << user.uid << ": " << std::generic_category().message(errno);
    const int given = fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);  // gRPC closes it
    fcntl(given, F_SETFL, O_NONBLOCK);
    return grpc::CreateInsecureChannelFromFd("agent", given);
  }

  static grpc::Status Ask(v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::AgentStatus status;
    return stub.Status(&context, {}, &status);
  }
  static grpc::Status Apply(v1::Sluice::Stub& stub, const std::string& yaml) {
    grpc::ClientContext context;
    v1::ApplyRequest request;
    v1::ApplyReply reply;
    request.add_documents()->set_yaml(yaml);
    return stub.Apply(&context, request, &reply);
  }
  static grpc::Status Delete(v1::Sluice::Stub& stub, const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteRequest request;
    v1::DeleteReply reply;
    request.add_targets()->set_kind("networkpolicy");
    request.mutable_targets(0)->set_namespace_("shop");
    request.mutable_targets(0)->set_name(name);
    return stub.Delete(&context, request, &reply);
  }
  static grpc::Status Quarantine(v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    v1::QuarantineRequest request;
    v1::QuarantineReply reply;
    request.set_namespace_("shop");
    request.set_name("nobody");
    return stub.Quarantine(&context, request, &reply);
  }
  static grpc::Status Explain(v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    v1::ExplainRequest request;
    v1::Explanation reply;
    request.set_from("10.0.0.1");
    request.set_to("10.0.0.2");
    request.set_protocol("TCP");
    request.set_port(80);
    return stub.Explain(&context, request, &reply);
  }
  static grpc::Status Get(v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    v1::GetRequest request;
    request.set_kind("networkpolicies");
    const auto reader = stub.Get(&context, request);
    v1::Object object;
    while (reader->Read(&object)) {
    }
    return reader->Finish();
  }
  static grpc::Status Observe(v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    const auto reader = stub.Observe(&context, {});
    v1::Event event;
    while (reader->Read(&event)) {
    }
    return reader->Finish();
  }

  static constexpr char kPolicy[] =
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, "
      "spec: {podSelector: {}}}";

  std::string directory_;
  test::FakeDatapath datapath_;
  test::FakeKernel kernel_;
  hooks::HookController hooks_{kernel_.Options()};
  reconcile::Controller controller_;
  telemetry::Telemetry telemetry_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Server> server_;

 private:
  static reconcile::Node Node() {
    return {[](const policy::Workload&) -> StatusOr<node::BoundWorkload> {
              return MakeError(absl::StatusCode::kNotFound, "no such interface");
            },
            []() -> StatusOr<std::vector<policy::Address>> { return std::vector<policy::Address>(); },
            [](std::uint32_t) { return true; }};
  }
  static Status Save(const reconcile::StateChange&, const std::function<Status()>& enforce) { return enforce(); }
  static telemetry::TelemetryOptions TelemetryOptions() {
    telemetry::TelemetryOptions options;
    options.node = "node-1";
    options.metrics_address = "";
    return options;
  }
  telemetry::TelemetrySources TelemetrySources() {
    return {.datapath = &datapath_,
            .policy = {.compiled = [] { return nullptr; }, .decision = [](std::uint32_t) { return nullptr; }},
            .revision = [] { return std::uint64_t{1}; },
            .unbound_workloads = [] { return std::size_t{0}; },
            .quarantined_workloads = [] { return std::size_t{0}; },
            .ready = [] { return true; },
            .send_flow_events = [](bool) {}};
  }

  const std::shared_ptr<LogText> log_ = std::make_shared<LogText>();
  std::shared_ptr<spdlog::logger> logged_;
  std::shared_ptr<spdlog::logger> before_;
};

}  // namespace sluice::api
