// Mutual TLS for the API over TCP: each end presents a certificate that the other end's CA signed.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::api {

// Names of PEM files; all empty: no TLS.
struct TlsFiles {
  std::string certificate;  // the end's own, then the intermediate ones
  std::string key;
  std::string ca;

  bool empty() const { return certificate.empty() && key.empty() && ca.empty(); }
  bool complete() const { return !certificate.empty() && !key.empty() && !ca.empty(); }
};

// InvalidArgument names the file that cannot be read or has no certificate or key, or the certificate and key that do
// not match.
Status CheckTls(const TlsFiles& files);

// Credentials that follow changes of the files within a second or two.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files);
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeClientCredentials(const TlsFiles& files);
// Of a client of somebody else's server, whose certificate has to be of `ca`, or of the system's CAs if there is none.
// Without `certificate` and `key` the client shows none.
StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeOutgoingCredentials(const TlsFiles& files);

// Logs when the files have changed, and whether new connections are possible with them.
class TlsWatch {
 public:
  explicit TlsWatch(TlsFiles files);
  void Look();

 private:
  std::string Facts() const;
  const TlsFiles files_;
  std::string seen_;
};

}  // namespace sluice::api
