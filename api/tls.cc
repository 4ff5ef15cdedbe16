#include "api/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "base/log.h"

namespace sluice::api {
namespace {

constexpr unsigned kRereadSeconds = 1;
constexpr std::size_t kMaxPemBytes = 1U << 20;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

StatusOr<std::string> ReadPem(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return InvalidError("{}: cannot be opened: {}", path, std::generic_category().message(errno));
  std::string text(kMaxPemBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxPemBytes) return InvalidError("{}: larger than {} bytes", path, kMaxPemBytes);
  return text;
}

StatusOr<Certificate> ReadCertificate(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const std::string text, ReadPem(path));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) return InvalidError("{}: no certificate (PEM) in it", path);
  return certificate;
}

// Keys with a password are refused: nobody could type it.
int NoPassword(char*, int, int, void*) { return -1; }

StatusOr<Key> ReadKey(const std::string& path) {
  SL_ASSIGN_OR_RETURN(const std::string text, ReadPem(path));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  ERR_clear_error();
  if (!key) return InvalidError("{}: no private key (PEM, without a password) in it", path);
  return key;
}

// Whether certificate and key can be read and belong together.
Status CheckPair(const TlsFiles& files) {
  SL_ASSIGN_OR_RETURN(const Certificate certificate, ReadCertificate(files.certificate));
  SL_ASSIGN_OR_RETURN(const Key key, ReadKey(files.key));
  const bool fit = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return fit ? OkStatus() : InvalidError("{}: not the key of the certificate in {}", files.key, files.certificate);
}

}  // namespace

Status CheckTls(const TlsFiles& files) {
  SL_RETURN_IF_ERROR(CheckPair(files));
  return ReadCertificate(files.ca).status();
}

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const TlsFiles& files) {
  using namespace grpc::experimental;  // NOLINT(google-build-using-namespace): has all of gRPC's TLS options
  TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(files.key, files.certificate, files.ca, kRereadSeconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return TlsServerCredentials(options);
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeClientCredentials(const TlsFiles& files) {
  SL_RETURN_IF_ERROR(CheckTls(files));
  grpc::SslCredentialsOptions options;
  SL_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(files.certificate));
  SL_ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(files.key));
  SL_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(files.ca));
  return grpc::SslCredentials(options);
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeOutgoingCredentials(const TlsFiles& files) {
  if (files.certificate.empty() != files.key.empty())
    return InvalidError("{}: a certificate and its key belong together", files.certificate + files.key);
  grpc::SslCredentialsOptions options;
  if (!files.ca.empty()) {
    SL_RETURN_IF_ERROR(ReadCertificate(files.ca).status());
    SL_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(files.ca));
  }
  if (!files.certificate.empty()) {
    SL_RETURN_IF_ERROR(CheckPair(files));
    SL_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(files.certificate));
    SL_ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(files.key));
  }
  return grpc::SslCredentials(options);
}

TlsWatch::TlsWatch(TlsFiles files) : files_(std::move(files)), seen_(Facts()) {}

std::string TlsWatch::Facts() const {
  std::string facts;
  for (const std::string& path : {files_.certificate, files_.key, files_.ca}) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) continue;
    facts += fmt::format("{} {} {}.{};", found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
  }
  return facts;
}

void TlsWatch::Look() {
  std::string facts = Facts();
  if (facts == seen_) return;
  seen_ = std::move(facts);
  if (const Status status = CheckTls(files_); status.ok()) {
    LogInfo("the TLS files of the API have changed: new connections use them");
  } else {
    LogError("the TLS files of the API have changed, and new connections may fail: {}", Message(status));
  }
}

}  // namespace sluice::api
