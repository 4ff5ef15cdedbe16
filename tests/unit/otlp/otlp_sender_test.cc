// Addresses, headers, TLS, and what answers mean.
#include "ctrl/otlp/otlp_sender.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "api/otlp_common.pb.h"
#include "tests/unit/api_server/certificates.h"
#include "tests/unit/otlp/otlp_collector.h"

namespace sluice::otlp {
namespace {

using namespace std::chrono_literals;
using opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
using test::OtlpCollector;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using What = OtlpResult::What;
using Code = grpc::StatusCode;

ExportLogsServiceRequest Records(int count) {
  ExportLogsServiceRequest request;
  auto& scope = *request.add_resource_logs()->add_scope_logs();
  for (int i = 0; i < count; ++i) scope.add_log_records()->set_event_name("e");
  return request;
}

class OtlpSending : public testing::Test {
 protected:
  OtlpSending() {
    std::string name = "/tmp/sluice-otlp-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    directory_ = name;
  }
  ~OtlpSending() override { std::filesystem::remove_all(directory_); }
  std::string Write(const std::string& name, const std::string& text) const {
    // Another file in its place, as Kubernetes replaces those of Secrets.
    const std::string path = directory_ + "/" + name;
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
    return path;
  }
  static std::unique_ptr<OtlpSender> Make(const OtlpReceiver& receiver) {
    auto sender = OtlpSender::Create(receiver, 2s);
    EXPECT_TRUE(sender.ok()) << sender.status();
    return sender.ok() ? *std::move(sender) : nullptr;
  }
  std::string directory_;
};

TEST(OtlpEndpoint, AddressesAreChecked) {
  for (const char* good : {"http://127.0.0.1:4317", "https://otel.example:4317", "https://otel.example:4317/",
                           "http://[fd00::1]:4317", "unix:///run/otel.sock"})
    EXPECT_EQ(EndpointProblem(good), "") << good;
  for (const char* bad :
       {"otel.example:4317", "ftp://otel:1", "http://otel", "http://otel:0", "http://otel:65536", "http://:4317",
        "https://user@otel:4317", "https://otel:4317/v1/logs", "http://fd00::1:4317", "unix://otel", "unix://", ""})
    EXPECT_THAT(EndpointProblem(bad), HasSubstr("expected https://HOST:PORT")) << bad;
}

TEST_F(OtlpSending, HeadersAreReadAndCheckedByLine) {
  const auto read = [&](const std::string& text) { return ReadHeaders(Write("headers", text)); };
  const auto good = read("# of the vendor\n\nAuthorization: Bearer a:b c\n x-tenant :shop\n");
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(*good, (OtlpHeaders{{"authorization", "Bearer a:b c"}, {"x-tenant", "shop"}}));
  const auto problem = [&](const std::string& text) { return Message(read(text).status()); };
  EXPECT_THAT(problem("a: b\nsecret"), HasSubstr("headers:2: expected NAME: VALUE"));
  EXPECT_THAT(problem("grpc-timeout: 1S"), HasSubstr("headers:1: the name"));
  EXPECT_THAT(problem("a b: c"), HasSubstr("headers:1: the name"));
  EXPECT_THAT(problem("a:"), HasSubstr("headers:1: the value of a"));
  EXPECT_THAT(problem("token: s\xc3\xa9"
                      "cret"),
              Not(HasSubstr("cret")))
      << "values are secrets";
  EXPECT_THAT(problem("a: " + std::string(9000, 'x')), HasSubstr("more than 8192 bytes"));
  EXPECT_THAT(Message(ReadHeaders(directory_ + "/none").status()), HasSubstr("none: cannot be opened"));
}

TEST_F(OtlpSending, HeadersAreSentAndReadAgainWhenTheFileChanges) {
  OtlpCollector collector({.address = "127.0.0.1:0"});
  const std::string headers = Write("headers", "authorization: Bearer one\n");
  const auto sender = Make({.endpoint = "http://127.0.0.1:" + collector.port(), .headers = headers});
  ASSERT_EQ(sender->Send(Records(1)).problem, "");
  Write("headers", "authorization: Bearer two\n");
  ASSERT_EQ(sender->Send(Records(1)).problem, "");
  Write("headers", "not a header\n");
  ASSERT_EQ(sender->Send(Records(1)).problem, "") << "what is wrong changes nothing";
  const auto requests = collector.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_THAT(requests[0].headers, Contains(Pair("authorization", "Bearer one")));
  EXPECT_THAT(requests[1].headers, Contains(Pair("authorization", "Bearer two")));
  EXPECT_THAT(requests[2].headers, Contains(Pair("authorization", "Bearer two")));
  EXPECT_THAT(requests[0].headers.at("user-agent"), HasSubstr("OTLP"));
}

TEST_F(OtlpSending, BothSidesShowCertificates) {
  const test::Certificates certificates{directory_};
  for (const char* ca : {"ca", "other"}) certificates.MakeCa(ca);
  certificates.Issue("collector", "ca");
  certificates.Issue("agent", "ca");
  OtlpCollector collector(
      {.address = "127.0.0.1:0", .credentials = api::MakeServerCredentials(certificates.FilesOf("collector"))});
  const std::string endpoint = "https://127.0.0.1:" + collector.port();
  EXPECT_EQ(Make({.endpoint = endpoint, .tls = certificates.FilesOf("agent")})->Send(Records(1)).problem, "");
  const api::TlsFiles without{.ca = certificates.File("ca.crt")};
  EXPECT_EQ(Make({.endpoint = endpoint, .tls = without})->Send(Records(1)).what, What::kLater);
  EXPECT_EQ(Make({.endpoint = endpoint, .tls = certificates.FilesOf("agent", "other")})->Send(Records(1)).what,
            What::kLater);
  EXPECT_EQ(collector.requests().size(), 1U) << "nothing is said to a server that is not trusted";

  const auto problem = [&](const api::TlsFiles& files) {
    return Message(OtlpSender::Create({.endpoint = endpoint, .tls = files}).status());
  };
  EXPECT_THAT(problem({.certificate = certificates.File("agent.crt")}), HasSubstr("belong together"));
  EXPECT_THAT(problem({.certificate = certificates.File("agent.crt"), .key = certificates.File("other.key")}),
              HasSubstr("not the key of the certificate"));
  EXPECT_THAT(problem({.ca = directory_ + "/none"}), HasSubstr("none: cannot be opened"));
  EXPECT_THAT(Message(OtlpSender::Create({.endpoint = "http://127.0.0.1:1", .tls = without}).status()),
              HasSubstr("TLS files are for https://"));
}

TEST(OtlpAnswers, OnlySomeErrorsAreForAnotherAttempt) {
  for (const Code code : {Code::CANCELLED, Code::DEADLINE_EXCEEDED, Code::ABORTED, Code::OUT_OF_RANGE,
                          Code::UNAVAILABLE, Code::DATA_LOSS})
    EXPECT_EQ(ResultOf({code, "later"}).what, What::kLater) << code;
  for (const Code code : {Code::UNKNOWN, Code::INVALID_ARGUMENT, Code::NOT_FOUND, Code::ALREADY_EXISTS,
                          Code::PERMISSION_DENIED, Code::UNAUTHENTICATED, Code::FAILED_PRECONDITION,
                          Code::UNIMPLEMENTED, Code::INTERNAL, Code::RESOURCE_EXHAUSTED})
    EXPECT_EQ(ResultOf({code, "no"}).what, What::kRefused) << code;
  EXPECT_EQ(ResultOf(grpc::Status::OK).what, What::kTaken);
  EXPECT_EQ(ResultOf({Code::UNAUTHENTICATED, "no\x1b[2J"}).problem.find('\x1b'), std::string::npos)
      << "a collector writes nothing to a terminal";
  EXPECT_LT(ResultOf({Code::UNKNOWN, std::string(100'000, 'x')}).problem.size(), 400U);
}

TEST(OtlpAnswers, ACollectorMayAskForAPause) {
  const auto details = [](std::int64_t seconds, std::int32_t nanos) {
    opentelemetry::proto::common::v1::RefusedCall refused;
    refused.add_details()->set_type_url("type.googleapis.com/google.rpc.DebugInfo");
    google::protobuf::Any& any = *refused.add_details();
    any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
    opentelemetry::proto::common::v1::RetryInfo info;
    info.mutable_retry_delay()->set_seconds(seconds);
    info.mutable_retry_delay()->set_nanos(nanos);
    any.set_value(info.SerializeAsString());
    return refused.SerializeAsString();
  };
  const OtlpResult full = ResultOf({Code::RESOURCE_EXHAUSTED, "full", details(2, 500'000'000)});
  EXPECT_EQ(full.what, What::kLater);
  EXPECT_EQ(full.at_earliest, 2500ms);
  EXPECT_EQ(ResultOf({Code::UNAVAILABLE, "", details(7, 0)}).at_earliest, 7s);
  EXPECT_EQ(ResultOf({Code::UNAVAILABLE, "", details(INT64_MAX, 999'999'999)}).at_earliest, kLongestAsked);
  EXPECT_EQ(ResultOf({Code::UNAVAILABLE, "", details(INT64_MIN, INT32_MIN)}).at_earliest, 0ms);
  EXPECT_EQ(ResultOf({Code::UNAVAILABLE, "", "\xff\xff\xff"}).at_earliest, 0ms);
  EXPECT_EQ(ResultOf({Code::INVALID_ARGUMENT, "", details(1, 0)}).what, What::kRefused);
}

TEST_F(OtlpSending, PartialSuccessIsCountedAndNotSentAgain) {
  std::string answer;
  OtlpCollector collector(
      {.address = "127.0.0.1:0", .behave = [&](const auto&) { return OtlpCollector::Answer{.body = answer}; }});
  const auto sender = Make({.endpoint = "http://127.0.0.1:" + collector.port()});
  answer = std::string(
      "\x0a\x09\x08\x02\x12\x05"
      "twice",
      11);  // partial_success {rejected 2, error_message "twice"}
  OtlpResult result = sender->Send(Records(5));
  EXPECT_EQ(result.what, What::kTaken);
  EXPECT_EQ(result.rejected, 2U);
  EXPECT_EQ(result.problem, "twice");
  answer = std::string("\x0a\x02\x08\x63", 4);  // 99 of 5
  EXPECT_EQ(sender->Send(Records(5)).rejected, 5U);
  answer = std::string("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);  // -1
  EXPECT_EQ(sender->Send(Records(5)).rejected, 0U);
}

TEST_F(OtlpSending, GarbageIsAnError) {
  std::string answer = "\xff\xff\xff\xff";
  OtlpCollector collector(
      {.address = "127.0.0.1:0", .behave = [&](const auto&) { return OtlpCollector::Answer{.body = answer}; }});
  const auto sender = Make({.endpoint = "http://127.0.0.1:" + collector.port()});
  EXPECT_EQ(sender->Send(Records(1)).what, What::kRefused);
  answer = std::string(2 << 20, 'x');
  EXPECT_EQ(sender->Send(Records(1)).what, What::kRefused) << "too large to be read";
  answer = "";
  EXPECT_EQ(sender->Send(Records(1)).what, What::kTaken);
}

}  // namespace
}  // namespace sluice::otlp
