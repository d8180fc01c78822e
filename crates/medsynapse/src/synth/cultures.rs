//! Names by culture, invented people only.

use super::people::Culture;

macro_rules! cultures {
    ($(#[$doc:meta])* $name:ident: $({
        families $($family:literal)+
        female $($female:literal)+
        male $($male:literal)+
    })*) => {
        $(#[$doc])*
        pub(super) static $name: &[Culture] = &[$(Culture {
            families: &[$($family),+],
            female: &[$($female),+],
            male: &[$($male),+],
        },)*];
    };
}

cultures! {
    /// Names that every character set can write.
    ASCII:
    {
        families "SMITH" "JOHNSON" "MILLER" "TAYLOR" "BAKER" "COLLINS" "MORGAN" "HUGHES" "O'NEIL"
            "O'CONNOR" "MACLEOD" "WHITFIELD" "ASHWORTH" "BLACKWOOD" "PEMBERTON" "HARTLEY"
        female "MARY" "EMILY" "CHARLOTTE" "GRACE" "HANNAH" "ELEANOR" "ALICE" "RUTH" "JANE"
            "MARGARET" "SUSAN" "OLIVIA"
        male "JOHN" "WILLIAM" "GEORGE" "HENRY" "THOMAS" "EDWARD" "ARTHUR" "PETER" "DAVID" "SAMUEL"
            "OLIVER" "JAMES"
    }
    {
        families "GARCIA" "RODRIGUEZ" "FERNANDEZ" "LOPEZ" "MORALES" "ORTEGA" "DE LA CRUZ"
            "NAVARRO" "CASTILLO" "VARGAS" "MENDOZA" "DEL RIO"
        female "MARIA" "CARMEN" "LUCIA" "ELENA" "ISABEL" "PAULA" "ROSA" "VALERIA"
        male "JOSE" "ANTONIO" "MANUEL" "CARLOS" "MIGUEL" "DIEGO" "RAFAEL" "PABLO"
    }
    {
        families "SCHMIDT" "FISCHER" "WEBER" "WAGNER" "BECKER" "HOFFMANN" "KELLER" "VOGEL"
            "BRANDT" "VON BERGEN" "LINDEMANN" "STEINBACH"
        female "ANNA" "SOPHIE" "KATHARINA" "INGRID" "MONIKA" "SABINE" "GRETA" "HELGA"
        male "KARL" "STEFAN" "MARKUS" "ANDREAS" "UWE" "FELIX" "MATTHIAS" "DIETER"
    }
    {
        families "PATEL" "SHARMA" "IYER" "REDDY" "KULKARNI" "MUKHERJEE" "NAIR" "SINGH" "CHAUDHARY"
            "DESAI" "BANERJEE" "RAO"
        female "PRIYA" "ANJALI" "KAVITA" "LAKSHMI" "MEERA" "SUNITA" "DIVYA" "ASHA"
        male "RAHUL" "VIKRAM" "SURESH" "ARJUN" "ANIL" "RAVI" "SANJAY" "KIRAN"
    }
    {
        families "NGUYEN" "TRAN" "CHEN" "WANG" "LIU" "ZHANG" "HUANG" "KIM" "PARK" "CHOI" "TANAKA"
            "SATO" "SUZUKI" "YAMAMOTO"
        female "MEI" "LING" "YUKI" "HANA" "MIN-JI" "XIU" "LAN" "AIKO"
        male "WEI" "MINH" "HIROSHI" "KENJI" "JUN" "TAO" "SUNG" "DUC"
    }
    {
        families "HASSAN" "AL-FARSI" "KHALIL" "HADDAD" "MANSOUR" "RAHIMI" "AZIZ" "BEN SALAH"
            "EL-SAYED" "NASSER" "FARAH" "QURESHI"
        female "FATIMA" "LEILA" "AMINA" "NOUR" "SALMA" "YASMIN" "ZAHRA" "HUDA"
        male "OMAR" "YUSUF" "KARIM" "HAMID" "TARIQ" "BILAL" "SAMIR" "IDRIS"
    }
    {
        families "OKAFOR" "ADEYEMI" "MENSAH" "NKOSI" "MWANGI" "DIALLO" "ABEBE" "BANDA" "KAMAU"
            "OWUSU" "TRAORE" "DLAMINI"
        female "AMARA" "NGOZI" "THANDI" "WANJIRU" "ABENA" "ZANELE" "FOLAKE" "AISSATOU"
        male "KWAME" "CHIDI" "SIPHO" "KOFI" "TENDAI" "MAMADOU" "JABARI" "EMEKA"
    }
    {
        families "ROSSI" "BIANCHI" "ROMANO" "CONTI" "D'ANGELO" "MARINO" "MARTIN" "DUBOIS"
            "LEFEBVRE" "MOREAU" "D'ARCY" "LAURENT"
        female "GIULIA" "CHIARA" "FRANCESCA" "CAMILLE" "JULIE" "CLAIRE" "SYLVIE" "PAOLA"
        male "MARCO" "LUCA" "GIOVANNI" "PIERRE" "JULIEN" "ANTOINE" "HUGO" "MATTEO"
    }
    {
        families "KOWALSKI" "NOVAK" "HORVAT" "POPOV" "IVANOV" "PETROVIC" "VAN DER BERG" "DE VRIES"
            "JANSEN" "NIELSEN" "HANSEN" "VIRTANEN"
        female "OLGA" "NATALIA" "IVANA" "PETRA" "ANNIKA" "SANNE" "INGE" "TEREZA"
        male "PIOTR" "TOMAS" "IVAN" "DRAGAN" "LARS" "PIETER" "MIKKO" "JAN"
    }
}

cultures! {
    /// Names that need more than ASCII.
    BEYOND_ASCII:
    {
        families "MÜLLER" "SCHRÖDER" "KRÄMER" "JÄGER" "KÖNIG" "GROß" "BÖHM" "STÖRMER"
        female "KÄTHE" "BÄRBEL" "DÖRTHE" "RENÉE" "JÜLE" "GRETA"
        male "JÜRGEN" "JÖRG" "GÜNTER" "SÖNKE" "BJÖRN" "KARL"
    }
    {
        families "NÚÑEZ" "GARCÍA" "PEÑA" "IBÁÑEZ" "MUÑOZ" "GÓMEZ" "LEFÈVRE" "BENOÎT" "FRANÇOIS"
        female "MARÍA" "BEGOÑA" "INÉS" "ZOÉ" "HÉLÈNE" "AMÉLIE"
        male "JOSÉ" "ÁNGEL" "RAMÓN" "FRANÇOIS" "RENÉ" "ÍÑIGO"
    }
    {
        families "SØRENSEN" "ÅBERG" "JØRGENSEN" "BJÖRK" "MÄKINEN" "ÅSTRÖM" "GRØNLAND" "ÞÓRSDÓTTIR"
        female "ÅSE" "BIRGITTE" "SØLVI" "MÄRTA" "KÅRINA" "GUÐRÚN"
        male "BJØRN" "ÅGE" "SØREN" "GÖRAN" "JÓN" "MÅNS"
    }
    {
        families "WIŚNIEWSKI" "DĄBROWSKI" "NOVÁK" "DVOŘÁK" "HORVÁTH" "ŠIMIĆ" "KOVAČEVIĆ" "ŽIŽEK"
        female "MAŁGORZATA" "BOŻENA" "LUDMIŁA" "ŠÁRKA" "ZSÓFIA" "ŽELJKA"
        male "STANISŁAW" "PAWEŁ" "JIŘÍ" "TOMÁŠ" "GYÖRGY" "ŽELJKO"
    }
    {
        families "YILMAZ" "ŞAHİN" "ÇELİK" "YILDIRIM" "ÖZDEMİR" "KILIÇ" "ASLAN" "DOĞAN"
        female "AYŞE" "GÜL" "ZEYNEP" "ÇİĞDEM" "EMİNE" "ÖZLEM"
        male "MEHMET" "İBRAHİM" "MUSTAFA" "ÖMER" "UĞUR" "ŞÜKRÜ"
    }
    {
        families "ΠΑΠΑΔΟΠΟΥΛΟΣ" "ΓΕΩΡΓΙΟΥ" "ΝΙΚΟΛΑΪΔΗΣ" "ΒΛΑΧΟΣ" "ΑΓΓΕΛΟΠΟΥΛΟΣ"
        female "ΕΛΕΝΗ" "ΜΑΡΙΑ" "ΣΟΦΙΑ" "ΙΩΑΝΝΑ"
        male "ΓΕΩΡΓΙΟΣ" "ΔΗΜΗΤΡΗΣ" "ΝΙΚΟΣ" "ΙΩΑΝΝΗΣ"
    }
    {
        families "КУЗНЕЦОВ" "СОКОЛОВ" "ШЕВЧЕНКО" "МОРОЗ" "ПОПОВ" "ГРИГОРЬЕВ"
        female "ОЛЬГА" "НАТАЛИЯ" "ЕЛЕНА" "ЛЮДМИЛА"
        male "СЕРГЕЙ" "ДМИТРИЙ" "АЛЕКСЕЙ" "ЮРИЙ"
    }
    {
        families "山田" "佐藤" "鈴木" "高橋" "渡辺"
        female "花子" "美咲" "陽子" "由美"
        male "太郎" "健一" "翔太" "直樹"
    }
}
