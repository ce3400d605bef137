// OpenSSL 3 for connections to cameras and media servers (Shared/RTSP/IO/TLSSession.swift).
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
