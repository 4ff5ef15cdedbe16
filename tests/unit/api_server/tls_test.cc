// The API by TCP: only with mutual TLS, and always with the present files.
#include <fstream>

#include "testbed/command.h"
#include "tests/support/agent_process.h"
#include "tests/support/environment.h"
#include "tests/unit/api_server/certificates.h"
#include "tests/unit/api_server/free_port.h"
#include "tests/unit/api_server/server_world.h"

namespace sluice::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Code = grpc::StatusCode;
using test::RunChecked;

class Tls : public ServerFixture {
 protected:
  void SetUp() override {
    for (const std::string ca : {"ca", "other"}) certificates_.MakeCa(ca);
    Issue("agent", "ca");
    Issue("ops", "ca");
    Issue("viewer", "ca");
    Issue("stranger", "other");
  }

  std::string File(const std::string& name) const { return certificates_.File(name); }
  TlsFiles FilesOf(const std::string& name, const std::string& ca = "ca") const {
    return certificates_.FilesOf(name, ca);
  }
  void Issue(const std::string& name, const std::string& ca) const { certificates_.Issue(name, ca); }
  // Replaces files like a rotation: by renaming.
  void Replace(const std::string& from, const std::string& to) const {
    for (const char* const kind : {".crt", ".key"}) {
      std::filesystem::copy(File(from + kind), File("new"), std::filesystem::copy_options::overwrite_existing);
      std::filesystem::rename(File("new"), File(to + kind));
    }
  }

  ServerOptions Options() {
    ServerOptions options;
    address_ = test::FreeLoopbackAddress();
    options.address = address_;
    options.tls = FilesOf("agent");
    return options;
  }

  // With its own connection.
  std::unique_ptr<v1::Sluice::Stub> With(const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::Sluice::NewStub(grpc::CreateCustomChannel(address_, credentials, arguments));
  }
  std::unique_ptr<v1::Sluice::Stub> By(const TlsFiles& files) const {
    const auto credentials = MakeClientCredentials(files);
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    return With(*credentials);
  }
  bool Eventually(const std::function<bool()>& holds) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return true;
  }

  const test::Certificates certificates_{directory_};
  std::string address_;
};

TEST_F(Tls, TcpWithoutFilesIsRefused) {
  for (const char* const address : {"127.0.0.1:9000", "[::1]:9000", ":9000", "localhost:9000", "ipv4:127.0.0.1:9000",
                                    "dns:///localhost:9000", "0.0.0.0:9000"}) {
    const Status status = Server::Check({.address = address});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(Message(status), AllOf(HasSubstr(address), HasSubstr("--api-tls-cert")));
    EXPECT_FALSE(Start({.address = address}).ok()) << address;
  }
  ServerOptions part = Options();
  part.tls.ca = "";
  EXPECT_EQ(Server::Check(part).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Tls, OptionsForTheOtherKindOfAddressAreRefused) {
  const auto problem = [&](const std::function<void(ServerOptions&)>& set, ServerOptions options) {
    set(options);
    const Status status = Server::Check(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return Message(status);
  };
  EXPECT_TRUE(Server::Check(Options()).ok());
  EXPECT_THAT(problem([](ServerOptions& to) { to.change_group = "54321"; }, Options()),
              HasSubstr("--api-change-group"));
  EXPECT_THAT(problem([](ServerOptions& to) { to.read_group = "54321"; }, Options()), HasSubstr("--api-read-group"));
  EXPECT_THAT(problem([](ServerOptions& to) { to.tls_change_names = {"ops"}; }, {.address = "unix://" + socket()}),
              HasSubstr("--api-tls-change-name"));
}

TEST_F(Tls, APortThatIsTakenIsFoundBeforeAnythingIsMade) {
  const ServerOptions options = Options();
  EXPECT_TRUE(Server::Check(options).ok());
  ASSERT_TRUE(Start(options).ok());
  EXPECT_EQ(Server::Check(options).code(), absl::StatusCode::kUnavailable);
}

TEST_F(Tls, FilesThatAreNotRightAreNamed) {
  const auto problem = [&](TlsFiles files) {
    ServerOptions options = Options();
    options.tls = std::move(files);
    const Status status = Server::Check(options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return Message(status);
  };
  EXPECT_THAT(problem({File("none"), File("agent.key"), File("ca.crt")}), HasSubstr(File("none")));
  EXPECT_THAT(problem({File("agent.key"), File("agent.key"), File("ca.crt")}), HasSubstr("no certificate"));
  EXPECT_THAT(problem({File("agent.crt"), File("agent.crt"), File("ca.crt")}), HasSubstr("no private key"));
  EXPECT_THAT(problem({File("agent.crt"), File("ops.key"), File("ca.crt")}), HasSubstr("not the key"));
  EXPECT_THAT(problem({File("agent.crt"), File("agent.key"), File("ca.key")}), HasSubstr(File("ca.key")));
  EXPECT_THAT(Message(Server::Check({.address = "unix://" + socket(), .tls = FilesOf("agent")})), HasSubstr("for TCP"));
}

TEST_F(Tls, BothEndsShowACertificate) {
  ASSERT_TRUE(Start(Options()).ok());
  const auto ops = By(FilesOf("ops"));
  const grpc::Status asked = Ask(*ops);
  EXPECT_TRUE(asked.ok()) << asked.error_message();
  EXPECT_TRUE(Apply(*ops, kPolicy).ok());
  EXPECT_THAT(log(), HasSubstr("info certificate ops from ipv4:127.0.0.1:"));
  EXPECT_EQ(Ask(*With(grpc::InsecureChannelCredentials())).error_code(), Code::UNAVAILABLE) << "in the clear";
  grpc::SslCredentialsOptions none;
  std::ifstream ca(File("ca.crt"));
  none.pem_root_certs = {std::istreambuf_iterator<char>(ca), std::istreambuf_iterator<char>()};
  EXPECT_EQ(Ask(*With(grpc::SslCredentials(none))).error_code(), Code::UNAVAILABLE) << "without a certificate";
  EXPECT_EQ(Ask(*By({FilesOf("stranger").certificate, FilesOf("stranger").key, File("ca.crt")})).error_code(),
            Code::UNAVAILABLE)
      << "of another CA";
  EXPECT_EQ(Ask(*By(FilesOf("ops", "other"))).error_code(), Code::UNAVAILABLE) << "the client trusts another CA";
}

TEST_F(Tls, NamesInCertificatesDecide) {
  for (const char* const name : {"ops", "ops.example"}) {
    ServerOptions options = Options();
    options.tls_change_names = {"somebody", name};
    ASSERT_TRUE(Start(options).ok());
    const auto ops = By(FilesOf("ops"));
    const auto viewer = By(FilesOf("viewer"));
    EXPECT_TRUE(Apply(*ops, kPolicy).ok());
    EXPECT_EQ(Apply(*viewer, kPolicy).error_code(), Code::PERMISSION_DENIED);
    EXPECT_EQ(Delete(*viewer, "p").error_code(), Code::PERMISSION_DENIED);
    EXPECT_EQ(Quarantine(*viewer).error_code(), Code::PERMISSION_DENIED);
    EXPECT_TRUE(Ask(*viewer).ok());
    EXPECT_TRUE(Get(*viewer).ok());
    server_.reset();
  }
}

TEST_F(Tls, FilesAreReadAgainWhenTheyChange) {
  ASSERT_TRUE(Start(Options()).ok());
  ASSERT_TRUE(Ask(*By(FilesOf("ops"))).ok());
  Issue("agent2", "other");
  Replace("agent2", "agent");
  std::filesystem::copy(File("other.crt"), File("new"));
  std::filesystem::rename(File("new"), File("ca.crt"));
  EXPECT_TRUE(Eventually([&] { return Ask(*By(FilesOf("stranger", "other"))).ok(); }));
  EXPECT_FALSE(Ask(*By(FilesOf("ops", "other"))).ok()) << "the old CA's certificates are worth nothing now";
  EXPECT_TRUE(Eventually([&] { return log().find("TLS files of the API have changed: new") != std::string::npos; }));
  std::ofstream(File("agent.key")) << "nothing";
  EXPECT_TRUE(Eventually([&] { return log().find("no private key") != std::string::npos; }));
}

TEST_F(Tls, IPv6CallersAreKnown) {
  ServerOptions options = Options();
  options.address = "[::1]" + address_.substr(address_.rfind(':'));
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const Fd probe(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (bind(probe.get(), reinterpret_cast<const sockaddr*>(&loopback), sizeof(loopback)) != 0)
    GTEST_SKIP() << "no ::1, as without CONFIG_IPV6: " << std::generic_category().message(errno);
  const Status started = Start(options);
  ASSERT_TRUE(started.ok()) << started;
  address_ = options.address;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("agent.example");
  const auto credentials = MakeClientCredentials(FilesOf("ops"));
  ASSERT_TRUE(credentials.ok());
  const auto stub = v1::Sluice::NewStub(grpc::CreateCustomChannel(address_, *credentials, arguments));
  EXPECT_TRUE(Apply(*stub, kPolicy).ok());
  EXPECT_THAT(log(), HasSubstr("from ipv6:%5B::1%5D:"));
}

// A large message is read before the caller's certificate is checked.
TEST_F(Tls, WhoMayOnlyReadCannotFillTheMemory) {
  ServerOptions options = Options();
  options.tls_change_names = {"ops"};
  ASSERT_TRUE(Start(options).ok());
  ASSERT_TRUE(Apply(*By(FilesOf("ops")), kPolicy).ok());
  {
    std::ofstream large(File("large.yaml"));
    for (int i = 0; i < 30; ++i) large << "#" << std::string((1 << 20) - 2, 'x') << "\n";
  }
  const auto memory = [] {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6)) >> 10U;
    }
    return 0ULL;
  };
  const auto before = memory();
  const TlsFiles viewer = FilesOf("viewer");
  std::vector<test::ChildProcess> clients;
  for (int i = 0; i < 16; ++i) {
    auto client = test::ChildProcess::Start({test::BinDirectory() + "/sluice", "--server", address_, "--tls-cert",
                                             viewer.certificate, "--tls-key", viewer.key, "--tls-ca", viewer.ca,
                                             "apply", "-f", File("large.yaml"), "-f", File("large.yaml")});
    ASSERT_TRUE(client.ok()) << client.status();
    clients.push_back(*std::move(client));
  }
  std::atomic<bool> done = false;
  std::atomic<unsigned long long> most = 0;
  std::thread watch([&] {
    while (!done) {
      most = std::max(most.load(), memory());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  EXPECT_TRUE(Ask(*By(FilesOf("ops"))).ok()) << "meanwhile";
  for (test::ChildProcess& client : clients) {
    const auto ended = client.Wait(60);
    EXPECT_TRUE(ended.ok() && ended->exit_code == 1) << (ended.ok() ? ended->output : "");
  }
  done = true;
  watch.join();
  // A message of the maximum size is accepted.
  std::ofstream(File("policy.yaml")) << kPolicy;
  const TlsFiles ops = FilesOf("ops");
  const Status applied = RunChecked({test::BinDirectory() + "/sluice", "--server", address_, "--tls-cert",
                                     ops.certificate, "--tls-key", ops.key, "--tls-ca", ops.ca, "apply", "-f",
                                     File("large.yaml"), "-f", File("large.yaml"), "-f", File("policy.yaml")});
  EXPECT_TRUE(applied.ok()) << applied;
  RecordProperty("more_mib", static_cast<int>(most - before));
  EXPECT_LT(most - before, 700U) << "MiB; all of it is 960";
}

}  // namespace
}  // namespace sluice::api
